"""The services of DICOM in an operator's words: which SOP classes each has, with which requests.

A SOP class belongs to one service. Sources: PS3.4 (the DIMSE services of each class), PS3.6 table A-1 (UIDs). Where
only older editions of PS3.4 define a retired class, it has all requests that classes of its kind have.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..wire.dimse import CommandField
from .storage import STORAGE

_ROOT = "1.2.840.10008."
_ECHO, _STORE = CommandField.C_ECHO_RQ, CommandField.C_STORE_RQ
_FIND, _MOVE, _GET = CommandField.C_FIND_RQ, CommandField.C_MOVE_RQ, CommandField.C_GET_RQ
_CREATE, _DELETE = CommandField.N_CREATE_RQ, CommandField.N_DELETE_RQ
_READ, _SET = CommandField.N_GET_RQ, CommandField.N_SET_RQ
_ACTION, _REPORT = CommandField.N_ACTION_RQ, CommandField.N_EVENT_REPORT_RQ

_Classes = dict[bytes, frozenset[CommandField]]


class Service(NamedTuple):
    """A service. `classes` are its SOP classes, each with the requests that may be made with it, by either side."""

    word: str
    about: str
    classes: Mapping[bytes, frozenset[CommandField]]


def _uids(ends: str) -> list[bytes]:
    return [f"{_ROOT}{end}".encode("ascii") for end in ends.split()]


def _with(ends: str, *requests: CommandField) -> _Classes:
    return dict.fromkeys(_uids(ends), frozenset(requests))


def _query_retrieve(base: str, first: int) -> _Classes:
    """The classes of one information model: three UIDs in a row."""
    find, move, get = (f"{base}.{first + step}" for step in range(3))
    return _with(find, _FIND) | _with(move, _MOVE) | _with(get, _GET)


def _metas(ends: str, members: _Classes) -> _Classes:
    """Meta SOP classes: each has the requests of its members."""
    return {uid: frozenset().union(*(members[one] for one in _NAMED_ON[uid])) for uid in _uids(ends)}


_NAMED_ON: Mapping[bytes, frozenset[bytes]] = {
    uid: frozenset(_uids(named))
    for ends, named in {
        # Meta SOP classes: their members (PS3.4 H.3)
        "5.1.1.9": "5.1.1.1 5.1.1.2 5.1.1.4 5.1.1.16",
        "5.1.1.18": "5.1.1.1 5.1.1.2 5.1.1.4.1 5.1.1.16",
        "5.1.1.9.1 5.1.1.18.1": "5.1.1.1 5.1.1.2 5.1.1.4.2 5.1.1.16",
        "5.1.1.32": "5.1.1.31 5.1.1.16",
        "5.1.4.32": "5.1.4.32.1 5.1.4.32.2 5.1.4.32.3",
        "3.1.2.1.4": "3.1.2.1.1 3.1.2.2.1",
        "3.1.2.5.4": "3.1.2.5.1 3.1.2.6.1",
        "3.1.2.5.5": "3.1.2.3.1 3.1.2.3.2",
        # Watch, Pull, Event and Query are other ways to the instances of UPS Push (PS3.4 CC.2)
        "5.1.4.34.6.2 5.1.4.34.6.3 5.1.4.34.6.4 5.1.4.34.6.5": "5.1.4.34.6.1",
        "5.1.4.34.4.2 5.1.4.34.4.3 5.1.4.34.4.4": "5.1.4.34.4.1",
        # Retrieve and Notification, to those of MPPS (PS3.4 F.8, F.9)
        "3.1.2.3.4 3.1.2.3.5": "3.1.2.3.3",
    }.items()
    for uid in _uids(ends)
}

_MPPS = _with("3.1.2.3.3", _CREATE, _SET) | _with("3.1.2.3.4", _READ) | _with("3.1.2.3.5", _REPORT)
_UPS = (
    _with("5.1.4.34.6.1 5.1.4.34.4.1", _CREATE, _ACTION, _READ)
    | _with("5.1.4.34.6.2 5.1.4.34.4.2", _ACTION, _READ, _FIND)
    | _with("5.1.4.34.6.3 5.1.4.34.4.3", _FIND, _READ, _SET, _ACTION)
    | _with("5.1.4.34.6.4 5.1.4.34.4.4", _REPORT)
    | _with("5.1.4.34.6.5", _FIND)
)  # PS3.4 table CC.2-1
_PRINT = (
    _with("5.1.1.1 5.1.1.2", _CREATE, _SET, _DELETE, _ACTION)  # film session, film box
    | _with("5.1.1.4 5.1.1.4.1 5.1.1.4.2 5.1.1.15", _SET)  # image boxes, annotation box
    | _with("5.1.1.14 5.1.1.16", _REPORT, _READ)  # print job, printer
    | _with("5.1.1.16.376", _READ)
    | _with("5.1.1.22 5.1.1.24 5.1.1.24.1", _CREATE, _SET, _DELETE)  # VOI LUT box, overlay boxes
    | _with("5.1.1.23", _CREATE, _DELETE)  # presentation LUT
    | _with("5.1.1.26", _REPORT, _READ, _ACTION)  # print queue
    | _with("5.1.1.31", _CREATE, _DELETE, _ACTION)  # pull print request
)  # PS3.4 H.4
_GENERAL_PURPOSE = (
    _with("5.1.4.32.1", _FIND)
    | _with("5.1.4.32.2", _REPORT, _READ, _SET, _ACTION)
    | _with("5.1.4.32.3", _REPORT, _CREATE, _READ, _SET)
)
_DETACHED = _with(
    "3.1.2.1.1 3.1.2.2.1 3.1.2.3.1 3.1.2.3.2 3.1.2.5.1 3.1.2.6.1", _REPORT, _READ, _SET, _ACTION, _CREATE, _DELETE
)
_MACHINES = "5.1.4.34.2 5.1.4.34.3 5.1.4.34.8 5.1.4.34.9"

_ALL = (
    Service("echo", "test the connection", _with("1.1", _ECHO)),
    Service(
        "find",
        "look for patients, studies, series and images",
        _with("5.1.4.1.2.1.1 5.1.4.1.2.2.1 5.1.4.1.2.3.1", _FIND),
    ),
    Service(
        "get",
        "fetch studies over the same association",
        _with("5.1.4.1.2.1.3 5.1.4.1.2.2.3 5.1.4.1.2.3.3 5.1.4.1.2.4.3 5.1.4.1.2.5.3", _GET),
    ),
    Service(
        "move",
        "have studies sent to an AE title",
        _with("5.1.4.1.2.1.2 5.1.4.1.2.2.2 5.1.4.1.2.3.2 5.1.4.1.2.4.2", _MOVE),
    ),
    Service("store", "send images, reports and other objects", dict.fromkeys(STORAGE, frozenset({_STORE}))),
    Service(
        "commitment", "have what was sent kept for good (storage commitment)", _with("1.20.1 1.20.2", _ACTION, _REPORT)
    ),
    Service("worklist", "ask for scheduled procedures (modality worklist)", _with("5.1.4.31", _FIND)),
    Service("mpps", "report what a modality did (modality performed procedure step)", _MPPS),
    Service("ups", "give, take and watch tasks (unified procedure step)", _UPS),
    Service("print", "print on film", _PRINT | _metas("5.1.1.9 5.1.1.18 5.1.1.9.1 5.1.1.18.1 5.1.1.32", _PRINT)),
    Service("media-creation", "have CDs and other media written", _with("5.1.1.33", _CREATE, _ACTION, _READ)),
    Service(
        "instance-availability",
        "say that images are available, and of which studies",
        _with("5.1.4.33", _CREATE) | _with("1.9", _STORE),
    ),
    Service("relevant-patient", "ask for a patient's history", _with("5.1.4.37.1 5.1.4.37.2 5.1.4.37.3", _FIND)),
    Service("hanging-protocol", "look for hanging protocols and fetch them", _query_retrieve("5.1.4.38", 2)),
    Service("color-palette", "look for color palettes and fetch them", _query_retrieve("5.1.4.39", 2)),
    Service(
        "implant-template",
        "look for templates of implants and fetch them",
        _query_retrieve("5.1.4.43", 2) | _query_retrieve("5.1.4.44", 2) | _query_retrieve("5.1.4.45", 2),
    ),
    Service("procedure-protocol", "look for protocols of scanners and fetch them", _query_retrieve("5.1.4.20", 1)),
    Service("protocol-approval", "look for approvals of these and fetch them", _query_retrieve("5.1.4.1.1.200", 4)),
    Service(
        "inventory",
        "have all that is stored listed, and look for and fetch such lists",
        _query_retrieve("5.1.4.1.1.201", 2)
        | _with("5.1.4.1.1.201.5", _ACTION, _REPORT)
        | _with("5.1.4.1.1.201.6", _FIND),
    ),
    Service(
        "substance-administration", "ask about contrast agents and other products", _with("5.1.4.41 5.1.4.42", _FIND)
    ),
    Service("event-logging", "add to the log of a procedure", _with("1.40 1.42", _ACTION)),
    Service("display", "read how a display is set up", _with("5.1.1.40", _READ)),
    Service(
        "machine-verification",
        "have the settings of a treatment machine verified",
        _with(_MACHINES, _CREATE, _SET, _READ, _ACTION, _DELETE, _REPORT),
    ),
    Service(
        "general-purpose-worklist",
        "the retired worklist of tasks",
        _GENERAL_PURPOSE | _metas("5.1.4.32", _GENERAL_PURPOSE),
    ),
    Service(
        "detached-management",
        "the retired management of patients, visits, studies and results",
        _DETACHED | _metas("3.1.2.1.4 3.1.2.5.4 3.1.2.5.5", _DETACHED),
    ),
)

SERVICES: Mapping[str, Service] = MappingProxyType({service.word: service for service in _ALL})
"""Every service by its word."""
SERVICE_OF: Mapping[bytes, Service] = MappingProxyType(
    {sop_class: service for service in _ALL for sop_class in service.classes}
)
"""The service of each SOP class that the standard knows."""


def word_of(sop_class: bytes) -> str:
    """The word of its service, for records and messages; the UID itself if the standard does not know it."""
    service = SERVICE_OF.get(sop_class)
    return sop_class.decode("ascii", "backslashreplace") if service is None else service.word


def requests_of(sop_class: bytes) -> frozenset[CommandField]:
    """The requests that may be made on a context of this class, whichever class they name.

    A class that the standard does not know is taken for one of storage.
    """
    service = SERVICE_OF.get(sop_class)
    return _UNKNOWN if service is None else service.classes[sop_class]


def named_on(sop_class: bytes) -> frozenset[bytes]:
    """The SOP classes that a command on a context of this class may name, besides the class itself."""
    return _NAMED_ON.get(sop_class, frozenset())


_UNKNOWN = frozenset({_STORE})
