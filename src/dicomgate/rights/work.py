"""What was done, as the audit tells it: who used which services, for `dicomgate rules suggest`.

Rule: what cannot be told for certain is left out and counted, never guessed. A rule made of a name that the audit had
cut, or of an AE title with a `*` in it, would concern others than it seems to.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, NamedTuple

from ..kit.networks import read_address
from ..kit.text import is_ae_title, is_name
from ..wire.dimse import CommandField
from .operations import OTHER
from .rule import OWN
from .services import SERVICES, requests_of, word_of
from .table import UID

_CUT = "…"
"""The last character of a text that the audit had cut (events/audit.py)."""
ANY = "*"
_MOST_OPEN = 100_000
"""So many associations may be open at a time; the gateway's own limit is far lower."""


class Client(NamedTuple):
    """Who did it, as far as a rule should tell: a user with groups, a user without, or a device.

    A device sent no identity and has no groups. It is known by its AE title and its network: the /24 of its IPv4
    address, or the /64 of its IPv6 address.
    """

    authenticator: str
    upstream: str
    user: str = ""
    groups: frozenset[str] = frozenset()
    calling_ae_title: str = ""
    network: str = ""


class Use(NamedTuple):
    """One kind of request. `destination` is that of a C-MOVE, ANY if no record has it; `own`: it is the client."""

    service: str
    destination: str = ""
    own: bool = False


@dataclass(slots=True)
class Done:
    """What a client did. Of `unobserved` associations only the contexts are known; `accepted` is of the others."""

    associations: int = 0
    unobserved: int = 0
    used: set[Use] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Work:
    """What all clients did. `left_out` counts what could not be told, by its reason."""

    clients: dict[Client, Done] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    associations: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(slots=True)
class _Association:
    groups: frozenset[str]
    accepted: frozenset[bytes] | None = None
    reported: bool = False
    lawless: bool = False


def work_of(lines: Iterable[bytes], since: datetime | None = None) -> Work:
    """The accepted work of all associations that ended in these lines of an audit, and not before `since`.

    Memory grows with the number of different clients, not with that of lines.
    """
    work = Work()
    opened: dict[tuple[str, str], _Association] = {}
    for line in lines:
        try:
            _read(json.loads(line), work, opened, since)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            work.left_out[_NO_RECORD] += 1
    work.left_out[_NO_END] += sum(one.accepted is not None for one in opened.values())
    work.left_out = +work.left_out  # without those of which there are none
    return work


def _read(
    record: Mapping[str, Any], work: Work, opened: dict[tuple[str, str], _Association], since: datetime | None
) -> None:
    """Take over one record. Raises one of several errors if it is none, or is one of another version."""
    event = record["event"]
    if event in ("Opened", "Refused", "Operated"):
        return
    if event == "Lost":
        work.left_out[_LOST] += record["count"]
        return
    key = record["node"], record["id"]
    if event == "Decided":
        opened[key] = _Association(frozenset(record["groups"]))
        if len(opened) > _MOST_OPEN:
            del opened[next(iter(opened))]
            work.left_out[_NO_END] += 1
    elif event == "Closed":
        _close(work, opened.pop(key, None), record, since)
    elif event not in ("Established", "Denied"):
        raise KeyError(event)
    elif (association := opened.get(key)) is not None:  # otherwise it is counted when it ends
        if event == "Denied":
            association.reported |= record["enforced"] is False
            association.lawless |= not record["missing"]
        else:
            association.accepted = frozenset(uid.encode("ascii") for uid in record["accepted"])


_NO_RECORD = "lines that are no record, or are of another version"
_LOST = "records that were lost before they were written"
_NO_END = "associations whose end is in none of these files"
_NO_BEGINNING = "associations whose beginning is in none of these files"
_CUT_NAME = "associations with a name that is cut"
_NO_NAME = "associations with a name that no rule can hold, such as an AE title with a *"
_LAWLESS = 'requests that no rule can allow (the log says "would have been aborted"), in so many associations'
_MANY = "associations with more kinds of requests than a record holds"


def _close(work: Work, association: _Association | None, record: Mapping[str, Any], since: datetime | None) -> None:
    """Take over what is known of an association that has ended. Raises the errors of a line that is no record."""
    time = datetime.fromisoformat(record["time"]).astimezone(UTC)
    if since is not None and time < since:
        return
    if association is None or association.accepted is None:
        # Nothing was accepted; or, where it has an upstream, the lines begin in the middle of it.
        work.left_out[_NO_BEGINNING] += association is None and bool(record["upstream"])
        return
    used = _counts(record, "used")
    if used is not None and association.reported:
        used |= _counts(record, "denied") or set()
    try:
        client = _client(record, association.groups)
        uses = _by_contexts(association.accepted) if used is None else _uses(used, record["calling_ae_title"])
    except _LeftOutError as error:
        work.left_out[str(error)] += 1
        return
    done = work.clients.setdefault(client, Done())
    done.associations += 1
    done.unobserved += used is None
    done.used |= uses
    if used is not None:
        done.accepted |= set(filter(_is_service, map(word_of, association.accepted)))
    work.associations += 1
    work.left_out[_LAWLESS] += association.lawless
    work.first = time if work.first is None else min(work.first, time)
    work.last = time if work.last is None else max(work.last, time)


class _LeftOutError(Exception):
    """What an association did, or who it was, cannot be said in a rule."""


def _client(record: Mapping[str, Any], groups: frozenset[str]) -> Client:
    names = {one for one in (record["user"], *groups) if one is not None and one[-1:] == _CUT}
    where = record["authenticator"], record["upstream"]
    if not all(map(is_name, where)):
        raise TypeError
    known = groups - names
    if not known and record["identity_type"] is None and not groups:
        title = _nameable(record["calling_ae_title"])
        return Client(*where, calling_ae_title=title, network=_network(record["address"]))
    if record["user"] in names or (groups and not known):
        raise _LeftOutError(_CUT_NAME)
    if not all(is_name(one) for one in (record["user"], *known)):
        raise _LeftOutError(_NO_NAME)
    return Client(*where, record["user"], known)


def _nameable(title: str) -> str:
    """The AE title, unless it means others in a rule: `*` stands for any characters, "own" for the client's own."""
    if not is_ae_title(title) or "*" in title or title == OWN:
        raise _LeftOutError(_NO_NAME)
    return title


def _network(address: str) -> str:
    found = read_address(address)
    return str(ip_network(f"{found}/{24 if found.version == 4 else 64}", strict=False))


def _counts(record: Mapping[str, Any], name: str) -> set[str] | None:
    """The kinds of requests that the record counts; None if nobody looked."""
    found = record.get(name)
    return None if found is None else {kind for kind, count in found.items() if count}


def _uses(kinds: Iterable[str], title: str) -> set[Use]:
    """What the counted requests need."""
    uses = set()
    for kind in kinds:
        if kind == OTHER:
            raise _LeftOutError(_MANY)
        word, _, destination = kind.partition(" ")
        service = _service(word)
        uses.add(Use(service, _nameable(destination), destination == title) if destination else Use(service))
    return uses


def _is_service(word: str) -> bool:
    return word in SERVICES or UID.fullmatch(word) is not None


def _service(word: str) -> str:
    if not _is_service(word):
        raise _LeftOutError(_NO_NAME)
    return word


def _by_contexts(accepted: frozenset[bytes]) -> set[Use]:
    """What an association may have done, by what was accepted: nobody looked at its requests.

    Beside C-GET, storage is there to receive (PS3.4 C.5.3). A client that also sends cannot be told from others.
    """
    requests = {one: requests_of(one) for one in accepted}
    if any(CommandField.C_GET_RQ in those for those in requests.values()):
        requests = {one: those for one, those in requests.items() if those != {CommandField.C_STORE_RQ}}
    return {
        Use(_service(word_of(one)), ANY if CommandField.C_MOVE_RQ in those else "") for one, those in requests.items()
    }
