"""Check an A-ASSOCIATE-AC against the A-ASSOCIATE-RQ that it answers.

Law: the client is told that something was accepted only if the client proposed it and the upstream accepted it. An
upstream that accepts a context or a transfer syntax that was never proposed is refused, since P-DATA would flow on it.
All else that exceeds the proposal is reduced to it, and what nobody asked for is dropped.
"""

from __future__ import annotations

from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.items import malformed
from ..wire.presentation import NO_REASON, AnsweredContext, ProposedContext
from ..wire.reject_abort import PduError
from ..wire.user_information import Negotiation, RoleSelection


def check_accept(request: AssociateRequest, accept: AssociateAccept) -> AssociateAccept:
    """The upstream's answer as it may reach the client, without its server response.

    With it are the answers to the contexts that never reached the upstream. `left_out` is both sides'.

    Raises PduError, whose answer is for the upstream, if it accepts a context or a transfer syntax never proposed.
    """
    answers = {context.id: context for context in accept.contexts}
    contexts = tuple(_answered(proposed, answers.pop(proposed.id, None)) for proposed in request.contexts)
    left_out = list(accept.left_out)
    for answer in answers.values():
        if answer.accepted:
            raise malformed(f"the upstream accepts presentation context {answer.id}, which was never proposed")
        left_out.append(f"its answer to presentation context {answer.id}, which was never proposed")
    negotiation = _negotiated(request.negotiation, accept.negotiation, left_out)
    told = (*request.left_out, *(f"of the upstream: {what}" for what in left_out))
    return AssociateAccept((*contexts, *request.refused), negotiation, left_out=told)


def _answered(proposed: ProposedContext, answer: AnsweredContext | None) -> AnsweredContext:
    if answer is not None and answer.accepted:
        if answer.transfer_syntax not in proposed.transfer_syntaxes:
            raise _never_proposed(f"transfer syntax {answer.transfer_syntax.decode()}", proposed)
        return answer
    # PS3.8 9.3.3.2 requires an answer to each context, with one transfer syntax, which is not significant here.
    return AnsweredContext(proposed.id, NO_REASON if answer is None else answer.result, proposed.transfer_syntaxes[0])


def _never_proposed(what: str, proposed: ProposedContext) -> PduError:
    return malformed(f"the upstream accepts {what}, never proposed for presentation context {proposed.id}")


def _negotiated(asked: Negotiation, answered: Negotiation, left_out: list[str]) -> Negotiation:
    roles_asked = {role.sop_class: role for role in asked.role_selections}
    roles = []
    for role in answered.role_selections:
        proposal = roles_asked.get(role.sop_class)
        agreed = None if proposal is None else _within(proposal, role)
        if agreed is not None:
            roles.append(agreed)
        if agreed != role:
            left_out.append(f"a role never proposed for {role.sop_class.decode()}")
    classes_asked = {extended.sop_class for extended in asked.extended}
    return answered._replace(
        asynchronous_operations=_window(asked.asynchronous_operations, answered.asynchronous_operations),
        role_selections=tuple(roles),
        extended=tuple(extended for extended in answered.extended if extended.sop_class in classes_asked),
    )


def _within(proposal: RoleSelection, role: RoleSelection) -> RoleSelection:
    # PS3.7 D.3.3.4.2: the acceptor returns 1 to accept the proposal of a role, so what was never proposed is not
    # accepted, whatever is returned. The PACS may act in the role all the same; the client then judges its messages.
    return RoleSelection(role.sop_class, min(proposal.scu, role.scu), min(proposal.scp, role.scp))


def _window(asked: tuple[int, int] | None, answered: tuple[int, int] | None) -> tuple[int, int] | None:
    if asked is None or answered is None:
        return None
    # PS3.7 D.3.3.3: 0 is no limit; the acceptor may reduce what was proposed, and not raise it.
    invoked, performed = (min(pair, key=lambda most: most or 0x1_0000) for pair in zip(asked, answered, strict=True))
    return invoked, performed
