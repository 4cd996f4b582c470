"""`dicomgate ask`: ask the configured authenticators about one identity, and explain each answer.

The request is encoded, parsed, routed, judged by throttle, authenticators and replay cache, and admitted or refused as
in an association. Only the upstream is not connected, nothing is counted, and no credential is used up.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..association.admission import (
    Admit,
    Policy,
    Refuse,
    attempt_of,
    before_asking,
    facts_of,
    settle,
    who_of,
)
from ..association.route import ANY_AE_TITLE, Route
from ..auth.chain import Chain, Verdict
from ..contract import Accept, Attempt, Identity, Peer
from ..errors import ConfigError, DoesNotFit, NegativeAnswer, StartError
from ..net.server_state import ListenerSnapshot
from ..net.tls_context import read_certificate
from ..protection.forecast import Forecast
from ..run.assembly import Assembly, assemble
from ..run.protection import forecast
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.echo import CONTEXT, verification_request
from ..wire.presentation import AnsweredContext
from ..wire.reject_abort import CALLED_AE_TITLE, TRY_LATER, PduError, Refusal
from .logs import configure
from .may import AuthenticatorOption, GroupsOption, MayOption, ToOption, as_if, explain, wanted
from .options import (
    DEFAULT_CALLED,
    DEFAULT_CALLING,
    DEFAULT_CONFIG,
    CallingOption,
    ConfigOption,
    IdentityOptions,
    ae_title,
    client_address,
    with_identity_options,
)
from .output import in_words, print_table


@with_identity_options
def ask(
    config: ConfigOption = DEFAULT_CONFIG,
    listener: Annotated[str | None, typer.Option(help="The listener; required if there are several.")] = None,
    calling: CallingOption = DEFAULT_CALLING,
    called: Annotated[
        str | None,
        typer.Option(metavar="AE", help="The called AE title. Default: the first one that the configuration names."),
    ] = None,
    address: Annotated[str, typer.Option(metavar="IP", help="The client's IP address.")] = "127.0.0.1",
    certificate: Annotated[Path | None, typer.Option(help="The client's TLS certificate, PEM or DER.")] = None,
    may: MayOption = None,
    to: ToOption = None,
    groups: GroupsOption = None,
    authenticator: AuthenticatorOption = None,
    *,
    who: IdentityOptions,
) -> None:
    """Ask the configured authenticators about one identity, and explain each answer.

    Nothing is sent to the upstream, counted by the throttle, or used up.

    With --may, also whether the rules allow it. With --groups, no authenticator
    is asked: it is as if one had accepted --user with these groups.

    Exit status: 0 accepted, and allowed, 1 not, 2 wrong usage or
    configuration, 3 an authenticator is unavailable.
    """
    configure()
    asked = wanted(may, to, groups, authenticator)
    assembly = assemble(config)
    snapshot = _listener(assembly, listener)
    identity = who.identity() if groups is None else None
    peer = Peer(client_address(address), 0, read_certificate(certificate) if certificate else None)
    titles = ae_title(calling), ae_title(_first_called(snapshot.policy) if called is None else called)
    request, pdu = _as_received(verification_request(*titles, identity), snapshot.policy)
    route = _route(request, snapshot.policy)
    attempt = attempt_of("ask", request, pdu, peer, snapshot.policy, datetime.now(UTC))
    if groups is None:
        admit = _asked(assembly, snapshot, request, attempt)
    else:
        admit = as_if(snapshot.chain, who, groups, authenticator)
    if asked is not None:
        rules = assembly.configuration.tables.rule
        explain(asked, who_of(attempt, admit.accept, admit.authenticator, route.upstream), snapshot.policy, rules)


def _asked(assembly: Assembly, snapshot: ListenerSnapshot, request: AssociateRequest, attempt: Attempt) -> Admit:
    """Ask the authenticators, print their answers and what the client receives. Raises unless it is admitted."""
    if refuse := before_asking(request.identity, snapshot.policy):
        raise _no(refuse.refusal, refuse.reason)
    verdict = asyncio.run(_consult(forecast(assembly.configuration), snapshot.chain, attempt))
    print_table(("authenticator", "answer", ""), _explained(snapshot.chain, verdict, request.identity))
    _, outcome = settle(attempt, facts_of(attempt), verdict, datetime.now(UTC))
    return _concluded(outcome, request)


def _listener(assembly: Assembly, name: str | None) -> ListenerSnapshot:
    snapshots = {snapshot.policy.listener: snapshot for snapshot in assembly.listeners.values()}
    names = ", ".join(snapshots)
    if name is None:
        if len(snapshots) > 1:
            raise ConfigError(f"choose a --listener: {names}")
        return next(iter(snapshots.values()))
    if name not in snapshots:
        raise ConfigError(f"no listener is called {name!r}; there are: {names}")
    return snapshots[name]


def _first_called(policy: Policy) -> str:
    """A called AE title that an upstream takes: where some are named, the authenticators may know them, too."""
    return next((title for title in policy.routes if title != ANY_AE_TITLE), DEFAULT_CALLED)


def _as_received(request: AssociateRequest, policy: Policy) -> tuple[AssociateRequest, bytes]:
    """The request as the gateway would read it, and the PDU that it would read."""
    try:
        pdu = request.encode()
        return AssociateRequest.parse(pdu, policy.fallback_encoding), pdu
    except DoesNotFit as error:
        raise ConfigError(f"no client can send this: {error}") from error
    except PduError as error:
        raise _no(error.answer, str(error)) from error


def _route(request: AssociateRequest, policy: Policy) -> Route:
    if (route := policy.route(request.called_ae_title)) is None:
        raise _no(CALLED_AE_TITLE, f"{policy.no_route(request.called_ae_title)}; choose one with --called")
    return route


async def _consult(guard: Forecast, chain: Chain, attempt: Attempt) -> Verdict:
    try:
        async with chain:
            return await guard.consult(chain, attempt)
    finally:
        await guard.close()


def _explained(chain: Chain, verdict: Verdict, identity: Identity | None) -> list[tuple[str, str, str]]:
    """One row for each link, in the order of the chain; and for the throttle or the replay cache, if it decided."""
    kind = None if identity is None else identity.type
    answers = dict(verdict.answers)
    rows = [] if answers or not verdict.reason_class else [("throttle", *in_words(verdict.decision))]
    earlier = "the throttle refuses it before" if rows else "an earlier one has answered"
    for link in chain.links:
        if link.name in answers:
            rows.append((link.name, *in_words(answers[link.name])))
        elif not link.handles(kind):
            what = "attempts without identity" if kind is None else f"identities of type {kind.value}"
            rows.append((link.name, "not asked", f"it does not handle {what}"))
        else:
            rows.append((link.name, "not asked", earlier))
    if any(isinstance(answer, Accept) and answer.once is not None for answer in answers.values()):
        used = None if isinstance(verdict.decision, Accept) else in_words(verdict.decision)
        rows.append(("replay cache", *(used or ("yes", "not used yet; a login with it uses it up"))))
    return rows


def _concluded(outcome: Admit | Refuse, request: AssociateRequest) -> Admit:
    if isinstance(outcome, Refuse):
        raise _no(outcome.refusal, outcome.reason)
    answer = AssociateAccept(
        (AnsweredContext(CONTEXT, 0, request.contexts[0].transfer_syntaxes[0]),),
        server_response=outcome.server_response,
    )
    try:
        answer.encode(request)
    except DoesNotFit as error:
        raise _no(TRY_LATER, f"{outcome.authenticator}: its response does not fit: {error}") from error
    response = outcome.server_response
    item = "without a server response" if response is None else f"with a server response (59H) of {len(response)} bytes"
    typer.echo(f"accepted: if the upstream accepts too, the client receives an A-ASSOCIATE-AC {item}")
    return outcome


def _no(refusal: Refusal, reason: str) -> Exception:
    message = f"the client receives {refusal}; the reason, which it is not told: {reason}"
    return StartError(message) if refusal == TRY_LATER else NegativeAnswer(message)
