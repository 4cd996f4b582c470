"""Verify logins as the gateway does, inside another program that opens its own port.

Rule 1: a login is judged as in the gateway: the operator's order of authenticators, deadlines, throttle, replay cache,
        policy, log and audit.
Rule 2: every question is answered within `deadline`, with `Admit` or `Refuse`. Any failure is a `Refuse`.
Rule 3: an identity comes as the bytes of its sub-item, and is read as strictly as on the wire.

    async with LoginService.configured(Path("dicomgate.toml")) as logins:
        answer = await logins(attempt, user_identity, secured=True)

The program must act on the answer: send A-ASSOCIATE-AC, with sub-item 59H if `server_response` is not None, or
A-ASSOCIATE-RJ with the codes of `refusal`; end the association at `accept.expires_at` if `end_with_credential`; and
keep to the limits of a `Limited`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from ..association.admission import Admit, Policy, Refuse, before_asking, facts_of, unrecorded
from ..audit.json_audit import Audit
from ..audit.sinks import Sinks
from ..auth.chain import Chain
from ..auth.link import DEFAULT_DEADLINE, DEFAULT_WORKERS, Link
from ..auth.plugged import answered
from ..config.load import Configuration, load
from ..config.schema import EmbeddedTables, ListenerTable
from ..contract import Attempt, Authenticator
from ..errors import ConfigError, Problem
from ..events.events import Facts, ReasonClass, Refused
from ..protection.guard import Guard
from ..wire.reject_abort import REFUSED_IDENTITY, TRY_LATER, AssociateReject, PduError
from ..wire.user_identity import LONGEST_RESPONSE, read_identity
from .audits import open_audit
from .limits import Limited, Limits, Refuses, limited, read_rules, settled
from .links import make_links
from .policies import embedded_policy, listener_policy
from .protection import Protection
from .records import Records

__all__ = [
    "DEFAULT_DEADLINE",
    "DEFAULT_WORKERS",
    "REFUSED_IDENTITY",
    "TRY_LATER",
    "Admit",
    "AssociateReject",
    "Limited",
    "Limits",
    "LoginService",
    "Refuse",
    "Refuses",
]

_log = logging.getLogger("dicomgate.embedding")


class LoginService:
    """Answers logins by a chain of authenticators and the policy of one listener.

    Make one with `configured` or `of`, and enter it once, in the event loop that calls it. Entering raises StartError,
    and ConfigError for a wrong `[state]`.
    """

    def __init__(
        self,
        links: Sequence[Link],
        chain: Chain,
        policy: Policy,
        cleartext_passcodes: bool,
        make_audit: Callable[[], Sinks | None],
        configuration: Configuration | None = None,
    ) -> None:
        self.listener = policy.listener
        self.deadline = policy.decision_timeout
        self.end_with_credential = policy.end_with_credential
        self.enforces_rules = policy.rights is not None and policy.enforce_rights
        self._links = links
        self._chain = chain
        self._secured = replace(policy, passcodes_allowed=True)
        self._in_the_clear = replace(policy, passcodes_allowed=cleartext_passcodes)
        self._make_audit = make_audit
        self._configuration = configuration
        self._records = Records(None)
        self._guard: Guard
        self._stack = AsyncExitStack()

    @classmethod
    def configured(cls, path: Path, listener: str | None = None) -> LoginService:
        """From a configuration file: the authenticators and policy of the listener of this name, or of the only one.

        The file may be a gateway's. Or it has neither listeners nor upstreams: then all authenticators are asked, an
        identity is required, and passcodes are refused without TLS. May block on files. Raises ConfigError.
        """
        configuration = load(path, EmbeddedTables)
        problems: list[Problem] = []
        links = make_links(configuration, problems)
        if problems:
            raise ConfigError(problems)
        table = _listener(path, configuration, listener)
        if table is None:
            chain = Chain(list(links.values()))
            policy = embedded_policy(chain, configuration.tables.audit_required, configuration.tables.rule)
        else:
            chain = Chain([links[name] for name in table.authenticators or links])
            policy = listener_policy(configuration, table, chain)
        cleartext = table is not None and table.cleartext_passcodes
        return cls([*links.values()], chain, policy, cleartext, lambda: open_audit(configuration), configuration)

    @classmethod
    def of(
        cls,
        authenticators: Sequence[Authenticator],
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        workers: int = DEFAULT_WORKERS,
        cleartext_passcodes: bool = False,
        audit: Path | None = None,
        audit_required: bool = False,
        rules: Sequence[Mapping[str, Any]] = (),
    ) -> LoginService:
        """From these authenticators, in this order; an identity is required. Attempts are counted in this process.

        An authenticator is named after its class. `deadline` and `workers` apply to each one separately; `audit` is the
        file to write, None for none. `audit_required`: True if no login may be without its record in it. `rules` are
        `[[rule]]` tables. Raises PluginError for an object that is not an authenticator, and ConfigError if a record is
        required of no audit, or a rule is wrong.
        """
        if audit_required and audit is None:
            raise ConfigError("audit_required: there is no audit; say in audit which file to write")
        names = _names(authenticators)
        links = [Link(*named, deadline=deadline, workers=workers) for named in zip(names, authenticators, strict=True)]
        chain = Chain(links)
        policy = embedded_policy(chain, audit_required, read_rules(rules, names))

        def make_audit() -> Sinks | None:
            return None if audit is None else Sinks([sink := Audit(audit, socket.gethostname())], [sink])

        return cls(links, chain, policy, cleartext_passcodes, make_audit)

    async def __aenter__(self) -> LoginService:
        async with AsyncExitStack() as stack:
            self._records.audit = audit = self._make_audit()
            if audit is not None:
                audit.begin()
                stack.push_async_callback(asyncio.to_thread, audit.close)
            protection = Protection(self._configuration)
            stack.push_async_callback(protection.close)
            self._guard = protection.guard
            for link in self._links:  # also those that only other links ask, for groups
                await stack.enter_async_context(link)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def __call__(
        self,
        attempt: Attempt,
        user_identity: bytes | None,
        *,
        secured: bool,
        always: AssociateReject | None = None,
    ) -> Admit | Refuse:
        """Answer one attempt. Raises only if cancelled.

        `attempt` has no identity: it is read from `user_identity`, the content of sub-item 58H after its header, None
        if the request has none. `secured`: the connection is TLS. `always`: the only refusal that the program can send,
        if it cannot choose.
        """
        facts: Facts = facts_of(attempt)
        answer: Admit | Refuse = Refuse(TRY_LATER, "a defect of dicomgate")
        try:
            async with asyncio.timeout(self.deadline):
                facts, answer = await self._judge(
                    attempt, user_identity, self._secured if secured else self._in_the_clear
                )
        except TimeoutError:
            answer = Refuse(TRY_LATER, f"no decision within {self.deadline:g} s", ReasonClass.DEADLINE)
        except Exception:  # noqa: BLE001 (rule 2)
            _log.exception("%s: a defect", attempt.id)
        if isinstance(answer, Refuse):
            answer = replace(answer, refusal=always or answer.refusal)
            told = Refused(facts, datetime.now(UTC), str(answer.refusal), answer.reason, answer.reason_class)
            self._records.tell(told)
        return answer

    async def _judge(
        self, attempt: Attempt, user_identity: bytes | None, policy: Policy
    ) -> tuple[Facts, Admit | Refuse]:
        """What is known now, and the answer."""
        if user_identity is not None:
            try:
                attempt = replace(attempt, identity=read_identity(user_identity, policy.fallback_encoding))
            except PduError as error:
                return facts_of(attempt), Refuse(REFUSED_IDENTITY, str(error), ReasonClass.MALFORMED_IDENTITY)
        if (refuse := before_asking(attempt.identity, policy)) is not None:
            return facts_of(attempt), refuse
        if policy.audit_required and (trouble := self._records.trouble()):
            verdict = unrecorded(trouble)
        else:
            verdict = await answered(partial(self._guard.begin, self._chain, attempt))
        decided, answer, rights = settled(attempt, verdict, policy)
        if isinstance(answer, Refuse) or not policy.audit_required:
            self._records.tell(decided)
        elif lost := await self._records.kept(decided):
            return decided.facts, Refuse(TRY_LATER, lost, ReasonClass.AUDIT_UNAVAILABLE)
        if isinstance(answer, Admit) and len(answer.server_response or b"") > LONGEST_RESPONSE:
            why = f"{answer.authenticator}: its response does not fit"
            answer = Refuse(TRY_LATER, why, ReasonClass.UNAVAILABLE)
        if isinstance(answer, Admit) and not rights.everything:
            answer = await limited(attempt, answer, decided.facts, rights, policy, self._records.tell)
        return decided.facts, answer


def _listener(path: Path, configuration: Configuration, name: str | None) -> ListenerTable | None:
    """The table of that name, or the only one; None if there is none and no name was given."""
    tables = {table.name: table for table in configuration.tables.listener}
    if name is None and len(tables) < 2:
        return next(iter(tables.values()), None)
    if name is None or name not in tables:
        what = "say which listener's authenticators to use" if name is None else f"no listener is called {name!r}"
        raise ConfigError(f"{path}: {what}; there are: {', '.join(tables) or 'none'}")
    return tables[name]


def _names(authenticators: Sequence[Authenticator]) -> list[str]:
    """A name for each, all different, because a principal is (authenticator's name, user)."""
    kinds = [type(one).__name__.lower() for one in authenticators]
    return [
        kind if kinds.count(kind) == 1 else f"{kind}-{kinds[: index + 1].count(kind)}"
        for index, kind in enumerate(kinds)
    ]
