"""How many associations each user has, and whether he may have one more.

Rule 1: whether there is a place is looked up and the place taken in one step: however many logins come at once, no user
        has more than he may have.
Rule 2: a place is taken between Accept and the question to the PACS, and comes back at a refusal or at the end, once.
Rule 3: places are counted whether there is a limit or not, so that one which a reload brings counts all that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

from ..association.admission import Refuse
from ..auth.plugged import Pending
from ..events.events import ReasonClass
from ..wire.reject_abort import LOCAL_LIMIT, REFUSED_IDENTITY, TRY_LATER
from .shut_outs import ShutOuts


class Principal(NamedTuple):
    """Who has logged in: a user is one of his authenticator."""

    authenticator: str
    user: str

    def __str__(self) -> str:
        return f"{self.authenticator}/{self.user}"


class Limit(NamedTuple):
    """How many associations a user may have; `key` is what the configuration says, such as `per_user = 3`."""

    most: int
    key: str


@dataclass(frozen=True, slots=True)
class UserLimits:
    """`[limits]`: 0 is no limit. A user in groups that have limits of their own has the largest of these instead."""

    per_user: int = 0
    per_user_group: Mapping[str, int] = field(default_factory=dict)

    def of(self, groups: Collection[str]) -> Limit | None:
        """The limit of a user who is in these groups; None if he has none."""
        if self.per_user_group:
            own = [(self.per_user_group[group], group) for group in groups if group in self.per_user_group]
            if own:
                most, group = max(own)
                return Limit(most, f"per_user_group.{group} = {most}")
        return Limit(self.per_user, f"per_user = {self.per_user}") if self.per_user else None


NoPlace: TypeAlias = tuple[ReasonClass, str]
Counted: TypeAlias = Callable[[NoPlace | None], None]
"""Called with None: there is a place at all gateways together; or with why there is none."""
Told: TypeAlias = Callable[[Refuse | None], None]


class Elsewhere(Protocol):
    """The places at all gateways together."""

    def enter(self, principal: Principal, session_id: str, limit: int, told: Counted) -> Pending:
        """Ask for a place; `told` is called later and once. Who cancels it, or gets no place, need not `leave`."""

    def leave(self, principal: Principal, session_id: str) -> None:
        """Give the place back."""


class Users:
    """The associations of each user at this gateway.

    `limits` and `elsewhere` may be set anew at any time, and count for new associations. For users who have a limit
    `elsewhere`, if there is one, is asked when there is a place here.
    """

    def __init__(self) -> None:
        self.limits = UserLimits()
        self.shut_outs = ShutOuts()
        self.elsewhere: Elsewhere | None = None
        self._counts: dict[Principal, int] = {}

    def count(self, principal: Principal) -> int:
        """How many associations a user has here now."""
        return self._counts.get(principal, 0)

    def enter(self, principal: Principal, groups: Collection[str], session_id: str, told: Told) -> Place | Refuse:
        """A place for an association of a user who was just accepted; or why he gets none.

        Where the place is `waiting`, `told` is called later and once: with None, or with why there is none after all.
        """
        if (refuse := self._shut_out(principal)) is not None:
            return refuse
        limit, count = self.limits.of(groups), self._counts.get(principal, 0)
        if limit is not None and count >= limit.most:
            why = f"{principal} has {count} associations already ({limit.key})"
            return Refuse(LOCAL_LIMIT, why, ReasonClass.USER_LIMIT)
        self._counts[principal] = count + 1
        place = Place(self._counts, principal, session_id)
        if limit is not None and self.elsewhere is not None:
            # Who is shut out while the answer is on its way is not known by his name yet, so that he was not ended.
            place.ask(self.elsewhere, limit, lambda refuse: told(refuse or self._shut_out(principal)))
        return place

    def _shut_out(self, principal: Principal) -> Refuse | None:
        until = self.shut_outs.until(*principal)
        if not until:
            return None
        return Refuse(REFUSED_IDENTITY, f"{principal} is shut out until {until}", ReasonClass.KICKED)


class Place:
    """The place of one association among those of its user."""

    __slots__ = ("_counts", "_elsewhere", "_pending", "_principal", "_session_id")

    def __init__(self, counts: dict[Principal, int], principal: Principal, session_id: str) -> None:
        """For `Users.enter`."""
        self._counts: dict[Principal, int] | None = counts
        self._principal = principal
        self._session_id = session_id
        self._elsewhere: Elsewhere | None = None
        self._pending: Pending | None = None

    def ask(self, elsewhere: Elsewhere, limit: Limit, told: Told) -> None:
        """Ask whether there is a place elsewhere, too. For `Users.enter`."""
        answered = partial(self._answered, elsewhere, told)
        self._pending = elsewhere.enter(self._principal, self._session_id, limit.most, answered)

    @property
    def waiting(self) -> bool:
        """Whether it is not known yet if there is a place."""
        return self._pending is not None

    def _answered(self, elsewhere: Elsewhere, told: Told, refused: NoPlace | None) -> None:
        self._pending = None
        if refused is None:
            self._elsewhere = elsewhere
            told(None)
        else:
            reason_class, why = refused
            answer = LOCAL_LIMIT if reason_class is ReasonClass.USER_LIMIT else TRY_LATER
            told(Refuse(answer, f"{self._principal}: {why}", reason_class))

    def leave(self) -> None:
        """Give it back, or ask no longer for it. Idempotent."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
        elsewhere, self._elsewhere = self._elsewhere, None
        if elsewhere is not None:
            elsewhere.leave(self._principal, self._session_id)
        counts, self._counts = self._counts, None
        if counts is not None:
            counts[self._principal] -= 1
            if not counts[self._principal]:
                del counts[self._principal]
