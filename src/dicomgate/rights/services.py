"""The services of DICOM in an operator's words: which SOP classes each has, and which requests are made with them.

A SOP class belongs to one service. Sources: PS3.4 (service classes), PS3.6 table A-1 (UIDs), PS3.7 E.1 (commands).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..wire.dimse import CommandField
from .storage import STORAGE

_ROOT = b"1.2.840.10008."
_STORE, _GET, _FIND, _MOVE, _ECHO = (
    CommandField.C_STORE_RQ,
    CommandField.C_GET_RQ,
    CommandField.C_FIND_RQ,
    CommandField.C_MOVE_RQ,
    CommandField.C_ECHO_RQ,
)


class Service(NamedTuple):
    """A service. `classes` are its SOP classes, each with the requests that may be made with it."""

    word: str
    about: str
    classes: Mapping[bytes, frozenset[CommandField]]


def _service(word: str, about: str, classes: Iterable[bytes], *requests: CommandField) -> Service:
    """A service all of whose SOP classes have the same requests."""
    return Service(word, about, MappingProxyType(dict.fromkeys(classes, frozenset(requests))))


def _classes(*ends: str) -> list[bytes]:
    return [_ROOT + end.encode("ascii") for end in ends]


_ALL = (
    _service("echo", "test the connection (C-ECHO)", _classes("1.1"), _ECHO),
    _service("store", "send images and other objects (C-STORE)", STORAGE, _STORE),
    _service(
        "find",
        "look for patients, studies, series and images (C-FIND)",
        _classes("5.1.4.1.2.1.1", "5.1.4.1.2.2.1", "5.1.4.1.2.3.1"),
        _FIND,
    ),
    _service(
        "get",
        "fetch studies over the same association (C-GET)",
        _classes("5.1.4.1.2.1.3", "5.1.4.1.2.2.3", "5.1.4.1.2.3.3", "5.1.4.1.2.4.3", "5.1.4.1.2.5.3"),
        _GET,
    ),
    _service(
        "move",
        "have studies sent to an AE title (C-MOVE)",
        _classes("5.1.4.1.2.1.2", "5.1.4.1.2.2.2", "5.1.4.1.2.3.2", "5.1.4.1.2.4.2"),
        _MOVE,
    ),
    _service("worklist", "ask for scheduled procedures (modality worklist)", _classes("5.1.4.31"), _FIND),
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
    return sop_class.decode("ascii") if service is None else service.word


def requests_of(sop_class: bytes) -> frozenset[CommandField]:
    """The requests that may be made with it. A class that the standard does not know is taken for one of storage."""
    service = SERVICE_OF.get(sop_class)
    return _UNKNOWN if service is None else service.classes[sop_class]


_UNKNOWN = frozenset({_STORE})


def named_on(sop_class: bytes) -> frozenset[bytes]:
    """Other SOP classes that messages on a presentation context of this one name."""
    return frozenset()
