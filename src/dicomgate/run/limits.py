"""What rules leave of an association in another program: what it may negotiate, and what it may serve.

Law: as in the gateway. What no rule grants is not negotiated, and a request that is not granted is not served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from ..association.admission import Admit, Policy, Refuse, facts_of, nothing_granted, settle, who_of
from ..auth.chain import Verdict
from ..auth.problems import describe_problems
from ..config.checks import contradictions
from ..config.schema import EmbeddedTables, known_keys
from ..contract import Attempt
from ..errors import ConfigError
from ..events.events import Decided, Denied, Event, Facts, ReasonClass
from ..rights.contexts import narrowed
from ..rights.operations import Denial, Operations
from ..rights.rights import EVERYTHING, Rights
from ..rights.table import RuleTable
from ..wire.associate import AssociateRequest
from ..wire.reject_abort import NO_CONTEXT, PduError

_NO_UPSTREAM = ""
Refuses = Callable[[int, bytes], bool]
"""Given the presentation context and the command set of a request: whether it must be refused.

Raises PduError for one that breaks the protocol: abort the association.
"""


@dataclass(slots=True)
class Limited(Admit):
    """Admit it; but it may not do everything, and the program must keep to `limits`."""

    limits: Limits


class Limits:
    """What rules leave of one association.

    `request` is the A-ASSOCIATE-RQ that the program may answer; the contexts that it lacks get result 1
    (user-rejection). None: it may be answered as it came. Unless `enforced`, they are only reported.
    """

    def __init__(
        self, request: bytes | None, rights: Rights, calling: str, enforced: bool, denied: Callable[[Denial], None]
    ) -> None:
        self.request = request
        self._rights = rights
        self._calling = calling
        self.enforced = enforced
        self._denied = denied

    def requests(self, contexts: Mapping[int, bytes]) -> Refuses:
        """What judges the requests of the established association, in any thread.

        `contexts` are the SOP classes of its accepted presentation contexts, by their ids.
        """
        judge = Operations(self._rights, contexts, 0, self._calling, self._denied).judge
        broken = False

        def refuses(context: int, command: bytes) -> bool:
            nonlocal broken
            try:
                return not broken and judge(context, command) is not None and self.enforced
            except PduError as error:
                if self.enforced:
                    raise
                # As in the gateway: in front of it, the association would have ended here.
                broken = True
                self._denied(Denial("", str(error), ""))
                return False

        return refuses


def read_rules(rules: Sequence[Mapping[str, Any]], authenticators: Sequence[str]) -> list[RuleTable]:
    """`[[rule]]` tables that are written in Python, checked as in a file. Raises ConfigError with every problem."""
    data = {"authenticator": [{"use": name} for name in authenticators], "rule": [dict(rule) for rule in rules]}
    try:
        tables = EmbeddedTables.model_validate(data)
    except ValidationError as error:
        raise ConfigError(describe_problems(error, data, known_keys)) from None
    if problems := [*contradictions(tables)]:
        raise ConfigError(problems)
    return tables.rule


def settled(attempt: Attempt, verdict: Verdict, policy: Policy) -> tuple[Decided, Admit | Refuse, Rights]:
    """What follows from the chain's verdict, and the rights of who is admitted."""
    decided, answer = settle(attempt, facts_of(attempt), verdict, datetime.now(UTC))
    if isinstance(answer, Refuse) or policy.rights is None:
        return decided, answer, EVERYTHING
    rights = policy.rights(who_of(attempt, answer.accept, answer.authenticator, _NO_UPSTREAM))
    return decided._replace(rules=rights.rules), answer, rights


async def limited(
    attempt: Attempt, admit: Admit, facts: Facts, rights: Rights, policy: Policy, tell: Callable[[Event], None]
) -> Limited | Refuse:
    """What becomes of somebody who was admitted, but may not do everything. Call it in the event loop."""
    loop, enforced = asyncio.get_running_loop(), policy.enforce_rights

    def denied(denial: Denial) -> None:
        event = Denied(facts, datetime.now(UTC), *denial, enforced, rights.rules)
        with suppress(RuntimeError):  # the service was closed meanwhile
            loop.call_soon_threadsafe(tell, event)

    # In a thread, because the program may take some milliseconds to make it.
    pdu = await asyncio.to_thread(attempt.request) if attempt.request else b""
    left = None
    try:
        request = AssociateRequest.parse(pdu, policy.fallback_encoding)
    except PduError as error:
        if enforced:
            return Refuse(NO_CONTEXT, f"rules need a request that can be read: {error}", ReasonClass.MALFORMED)
    else:
        granted, withheld = narrowed(request, rights)
        if enforced and not granted.contexts:
            return nothing_granted(withheld, rights)
        if enforced and granted is not request:
            left = granted.encode()
        for denial in withheld:
            denied(denial)
    limits = Limits(left, rights, attempt.calling_ae_title, enforced, denied)
    return Limited(admit.accept, admit.authenticator, admit.server_response, limits)
