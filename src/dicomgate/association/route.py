"""Where an association goes, and as whom the upstream sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from ..contract import Identity
from ..rights.rule import Rule, Who
from ..wire.associate import AssociateRequest

ANY_AE_TITLE = "*"
PositiveResponse: TypeAlias = Literal["required", "asked", "none"]
"""Whether a server response (59H) to a credential is asked for, and must come."""


@dataclass(frozen=True, slots=True)
class Shown:
    """As whom an upstream sees an association: the name of a credential, and AE titles. "" leaves what is there.

    `answers_in` are the seconds after which the credential has answered, whatever it does.
    """

    credential: str = ""
    answers_in: float = 5.0
    calling_ae_title: str = ""
    called_ae_title: str = ""

    def request(self, request: AssociateRequest, identity: Identity | None) -> AssociateRequest:
        """The request with `identity` as the upstream sees it."""
        if identity is request.identity and not self.ae_titles(request):
            return request
        calling, called = self.ae_titles(request) or (request.calling_ae_title, request.called_ae_title)
        return replace(request, identity=identity, calling_ae_title=calling, called_ae_title=called)

    def ae_titles(self, request: AssociateRequest) -> tuple[str, ...]:
        """The calling and the called AE title that the upstream sees; () if they are the request's own."""
        if not self.calling_ae_title and not self.called_ae_title:
            return ()
        return self.calling_ae_title or request.calling_ae_title, self.called_ae_title or request.called_ae_title


@dataclass(frozen=True, slots=True)
class Route:
    """Where associations for a called AE title go, as whom, and whether the client's identity travels with them.

    `present` is for those whom a rule matches: the first one that does decides, else `shown`. `dialled` is the name of
    the device that is connected to, where an upstream has several; "": that of the upstream. `pool`: several addresses
    may be asked, one after the other.
    """

    upstream: str
    forward_identity: bool = False
    answer_timeout: float = 10.0
    shown: Shown = Shown()
    present: tuple[tuple[Rule, Shown], ...] = ()
    positive_response: PositiveResponse = "asked"
    dialled: str = ""
    pool: bool = False

    def shown_for(self, who: Who) -> Shown:
        """As whom the upstream sees this one."""
        return next((shown for rule, shown in self.present if not rule.miss(who)), self.shown)


class Reached(NamedTuple):
    """Which of several addresses of an upstream was reached, "" without a choice; in how many seconds, TLS included."""

    address: str
    seconds: float


ONLY = Reached("", 0.0)
