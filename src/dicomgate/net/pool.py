"""Several addresses of one PACS: which of them is asked next, and which are down. No sockets, no clock.

Rule 1: those that are up come first, in the order of `balance`; one that is down has one trial in each interval.
Rule 2: `fall` failures in a row put an address down: where it is checked, until `rise` good checks; else for 10 s, the
        next time 20 s, and so on up to 5 minutes. An association that it answers puts it up at once.
Rule 3: associations put at most half of the addresses down, so that the others need not carry all; checks may put
        down all. An address that fails, and may not be put down, is asked last.
Rule 4: where every address fails, nobody waits: in each interval one association asks one of them, in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias

Balance: TypeAlias = Literal["first", "least", "calling", "user"]
"""The order of those that are up: as configured; fewest associations first; or by the calling AE title or the user,
so that each keeps its address as long as that one is up."""

_DOWN_FOR = 10.0
_LONGEST_DOWN = 300.0


Order: TypeAlias = Literal["ready", "drain", "down"]
"""What an operator says of an address: `drain` gives it no more associations, `down` neither checks it."""


class Conduct(NamedTuple):
    """How a pool goes about it. `trial` are the seconds between two trials of an address that is down.

    Where addresses are `checked`, one that is down stays so until `rise` good checks, or it answers an association.
    """

    balance: Balance = "first"
    fall: int = 3
    trial: float = 1.0
    checked: bool = False
    rise: int = 2


@dataclass(slots=True, eq=False)
class Member:
    """One address of a pool, by its name in the configuration. What is known of it outlives a reload.

    `failures` are those in a row, the first one at `since`, the last one for the reason `why`; `failed` are all so far.
    While it is `down`, it is until `until`, or until it answers; `successes` are the good checks in a row. `remark` is
    what it does not like about being checked, `check_seconds` how long the last check took. Times are seconds by the
    event loop's clock.
    """

    name: str
    associations: int = 0
    failures: int = 0
    why: str = ""
    since: float = 0.0
    down: bool = False
    until: float = math.inf
    trial: float = 0.0
    ejections: int = 0
    turn: int = 0
    successes: int = 0
    failed: int = 0
    remark: str = ""
    check_seconds: float | None = None
    order: Order = "ready"

    def ended(self) -> None:
        """One association fewer."""
        self.associations -= 1


class Pool:
    """The addresses of the upstream `name`, at least one. `told` gets a line whenever one goes down or comes up."""

    def __init__(self, name: str, addresses: Sequence[str], conduct: Conduct, told: Callable[[str], None]) -> None:
        self.name = name
        self.members = [Member(address) for address in addresses]
        self.conduct = conduct
        self._told = told
        self._turn = 0

    def go_on_from(self, other: Pool) -> None:
        """Take over what another pool knows of the addresses that both have."""
        known = {member.name: member for member in other.members}
        self.members = [known.get(member.name, member) for member in self.members]
        for member in self.members:
            if member.down and not self.conduct.checked:
                member.until = 0.0 if math.isinf(member.until) else member.until  # no check will say that it is up

    def candidates(self, tried: Collection[Member], key: str, now: float) -> list[Member]:
        """Those that may be asked now, in their order, but for those tried. `key` is what `balance` goes by."""
        left, well = [], False
        for member in self.members:
            if member.down and member.until <= now:
                self._come_up(member, self.conduct.fall - 1)  # one more failure, and it is down for longer
            if member.order == "ready":
                well = well or not self.fails(member)
                if member not in tried:
                    left.append(member)
        up = [member for member in left if not member.down] if well else []
        # A sort is stable: what is equal stays in the order of the configuration.
        if self.conduct.balance != "first":
            up.sort(key=lambda member: self._rank(member, key))
        up.sort(key=self.fails)
        if len(up) == len(left):
            return up
        due = [member for member in left if member not in up and member.trial <= now]
        return up + sorted(due, key=lambda member: member.turn)

    def ask(self, member: Member, now: float) -> None:
        """This one is asked by an association, which `Member.ended` ends."""
        member.associations += 1
        self._turn += 1
        member.turn = self._turn
        if self.fails(member):
            self._hold(member, now)

    def answered(self, member: Member) -> None:
        """It has answered an A-ASSOCIATE-RQ: however it did, it is there."""
        self._come_up(member, 0)
        member.ejections = 0

    def failed(self, member: Member, why: str, now: float) -> None:
        """It could not be connected, or did not answer an association."""
        if not self._count(member, why, now) or member.down:
            return
        down = sum(other.down for other in self.members)
        if down < len(self.members) // 2:
            member.ejections += 1
            member.down = True
            if not self.conduct.checked:
                member.until = now + min(_DOWN_FOR * member.ejections, _LONGEST_DOWN)
            self._told(f"{member.name} is down{_for(member, now)}: {why}")
        elif member.failures == self.conduct.fall and self._all_fail():
            self._told(f"no address answers; {self.why(now)}")

    def checked(self, member: Member, problem: str, remark: str, now: float) -> None:
        """It was checked: `problem` is why it is of no use now, "" if it is; `remark` what it does not like."""
        if problem:
            if self._count(member, problem, now) and not member.down:
                member.down = True
                self._told(f"{member.name} is down: {problem}")
            return
        if remark and remark != member.remark:
            self._told(f"{member.name} is there, and does not know the gateway's checks: {remark}")
        member.remark = remark
        member.successes += 1
        if not self.fails(member):
            member.failures = 0
        elif member.successes >= self.conduct.rise:
            self._come_up(member, 0)

    def ordered(self, member: Member, order: Order) -> None:
        """An operator says so; associations that are there stay."""
        member.order = order
        if order == "ready":
            self._come_up(member, 0)

    def why(self, now: float, tried: Collection[Member] = ()) -> str:
        """Why those that were not tried are not asked."""
        return "; ".join(f"{member.name}: {_why(member, now)}" for member in self.members if member not in tried)

    def _count(self, member: Member, why: str, now: float) -> bool:
        """One more failure; True if these are enough."""
        if not member.failures:
            member.since = now
        member.failures += 1
        member.failed += 1
        member.successes = 0
        member.why = why
        if member.failures < self.conduct.fall:
            return False
        self._hold(member, now)
        return True

    def _ready(self) -> list[Member]:
        return [member for member in self.members if member.order == "ready"]

    def _hold(self, tried: Member, now: float) -> None:
        """No trial of this one for a while; where all fail, none at all: one association at a time finds out enough."""
        for member in self.members if self._all_fail() else (tried,):
            member.trial = now + self.conduct.trial

    def fails(self, member: Member) -> bool:
        """It is down, or would be if there were enough others."""
        return member.down or member.failures >= self.conduct.fall

    def _all_fail(self) -> bool:
        return all(map(self.fails, self._ready()))

    def _come_up(self, member: Member, failures: int) -> None:
        if self.fails(member):
            self._told(f"{member.name} is asked again" if failures else f"{member.name} answers again")
        member.failures = min(member.failures, failures)
        member.down, member.until, member.successes = False, math.inf, 0

    def _rank(self, member: Member, key: str) -> tuple[int, ...]:
        if self.conduct.balance == "least":
            return member.associations, member.turn  # of equals the one that has waited longest
        # Rendezvous: one that goes down moves its own devices or users, and no others.
        return (int.from_bytes(blake2b(f"{member.name}\0{key}".encode(), digest_size=8).digest()),)


def _for(member: Member, now: float) -> str:
    return "" if math.isinf(member.until) else f" for {member.until - now:g} s"


def _why(member: Member, now: float) -> str:
    if member.order != "ready":
        return f"taken out by an operator ({member.order})"
    return f"down for {now - member.since:.0f} s: {member.why}"
