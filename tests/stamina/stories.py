"""The audit of a long run, association by association: one story each, the client's, and no credential out of time.

Rule: a story is one Opened, at most one Decided, one of Refused and Established (neither, if the client left before),
and one Closed at its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.stamina.arrivals import GOOD, LATE, Visitor
from tests.stamina.faults import Fault
from tests.stamina.happenings import EXCUSES

_CLOCK = 2.5  # seconds; the times of records and of clients are not taken at the same moment


@dataclass
class Story:
    """The kinds of its records in their order, and what they say."""

    kinds: list[str] = field(default_factory=list)
    calling: str = ""
    address: str = ""
    decided: float = 0.0
    """When, by the gateway's clock."""
    accepted: bool = False
    answer: str = ""
    reason: str = ""
    """The class of the refusal, or else the cause of the end."""

    def add(self, record: Mapping[str, Any]) -> None:
        """The next record."""
        self.kinds.append(record["event"])
        self.calling, self.address = record["calling_ae_title"] or self.calling, record["address"]
        match record["event"]:
            case "Decided":
                self.decided = datetime.fromisoformat(record["time"]).timestamp()
                self.accepted = record["outcome"] == "accept"
            case "Refused":
                self.answer, self.reason = record["answer"], record["reason_class"]
            case "Closed":
                self.reason = self.reason or record["cause"]

    def flaw(self) -> str:
        """What is wrong with it; "" if nothing is."""
        middle = [kind for kind in self.kinds[1:-1] if kind not in ("Decided", "Refused", "Established")]
        ended = self.kinds.count("Refused") + self.kinds.count("Established")
        right = self.kinds[:1] == ["Opened"] and self.kinds[-1:] == ["Closed"] and len(self.kinds) > 1
        return "" if right and not middle and ended <= 1 and self.kinds.count("Decided") <= 1 else f"{self.kinds}"


def stories(lines: Iterable[str]) -> dict[str, Story]:
    """All of them, by their id. Records of operators belong to none."""
    found: dict[str, Story] = {}
    for record in map(json.loads, lines):
        if record["event"] != "Operated":
            found.setdefault(record["id"], Story()).add(record)
    return found


def difference(visitor: Visitor, story: Story) -> str:
    """Where the client's story and the gateway's are not the same; "" if they are."""
    established = "Established" in story.kinds
    told = "Refused" in story.kinds
    codes = visitor.answer.partition(" ")[2]
    if visitor.answer.startswith("rejected"):
        return "" if told and codes in story.answer else f"client: {visitor.answer}, gateway: {story}"
    if visitor.answer == "accepted":
        released = (visitor.end == "released") == (story.reason == "released")
        return "" if established and released else f"client: {visitor.end}, gateway: {story}"
    return ""


def wrongly(visitor: Visitor, story: Story, faults: Sequence[Fault]) -> str:
    """Why this client must not have been admitted; "" if it was not, or might be."""
    if not story.accepted:
        return ""
    if visitor.kind not in (*GOOD, *LATE):
        return f"admitted: {visitor}: {story}"
    # When the clock is set between verification and record, the record does not tell when the credential was verified.
    judged = not any(step.overlaps(visitor) for step in _steps(faults))
    return "" if not judged or _in_time(visitor, story, _CLOCK) else f"out of time: {visitor}: {story}"


def _steps(faults: Sequence[Fault]) -> Iterator[Fault]:
    """Both times that a clock was set: wrong, and right again."""
    for fault in faults:
        if fault.target.startswith("clock"):
            yield from (Fault(fault.target, "", when, when) for when in (fault.began, fault.ended))


def unexplained(visitor: Visitor, story: Story, faults: Sequence[Fault]) -> str:
    """Why a user was not served although nothing excuses it; "" if he was, or something does."""
    if visitor.kind not in GOOD or visitor.good or visitor.end == "vanished":
        return ""
    if story.decided and not story.accepted and not _in_time(visitor, story, -_CLOCK):
        return ""  # the gateway's clock was wrong
    excuses = [excuse for fault in faults if fault.overlaps(visitor) for excuse in EXCUSES.get(fault.target, ())]
    return "" if story.reason in excuses else f"{visitor}: {story}"


def _in_time(visitor: Visitor, story: Story, more: float) -> bool:
    """Whether its credential was good by the gateway's clock, to which its leeway belongs."""
    if visitor.window is None:
        return True
    begins, ends, leeway = visitor.window
    return begins - leeway - more <= story.decided <= ends + leeway + more
