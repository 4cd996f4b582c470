"""Check an A-ASSOCIATE-AC against the A-ASSOCIATE-RQ that it answers.

Law: the client is told that something was accepted only if the client proposed it and the upstream accepted it. An
upstream that accepts more than was proposed is refused; an option that it mentions unasked is dropped.
"""

from __future__ import annotations

from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.items import malformed
from ..wire.presentation import AnsweredContext, ProposedContext
from ..wire.reject_abort import PduError
from ..wire.user_information import Negotiation

_NO_REASON = 2


def check_accept(request: AssociateRequest, accept: AssociateAccept) -> AssociateAccept:
    """The upstream's answer as it may reach the client, without its server response.

    Raises PduError, whose answer is for the upstream, if it accepts something that was never proposed.
    """
    answers = {context.id: context for context in accept.contexts}
    contexts = tuple(_answered(proposed, answers.pop(proposed.id, None)) for proposed in request.contexts)
    if answers:
        raise malformed(f"the upstream answers presentation context {min(answers)}, which was never proposed")
    return AssociateAccept(contexts, _negotiated(request.negotiation, accept.negotiation))


def _answered(proposed: ProposedContext, answer: AnsweredContext | None) -> AnsweredContext:
    if answer is not None and answer.accepted:
        if answer.transfer_syntax not in proposed.transfer_syntaxes:
            raise _never_proposed(f"transfer syntax {answer.transfer_syntax.decode()}", proposed)
        return answer
    # PS3.8 9.3.3.2 requires an answer to each context, with one transfer syntax, which is not significant here.
    return AnsweredContext(proposed.id, _NO_REASON if answer is None else answer.result, proposed.transfer_syntaxes[0])


def _never_proposed(what: str, proposed: ProposedContext) -> PduError:
    return malformed(f"the upstream accepts {what}, never proposed for presentation context {proposed.id}")


def _negotiated(asked: Negotiation, answered: Negotiation) -> Negotiation:
    roles_asked = {role.sop_class: role for role in asked.role_selections}
    for role in answered.role_selections:
        # PS3.7 D.3.3.4: without a role selection the requestor is SCU and the acceptor SCP.
        proposal = roles_asked.get(role.sop_class)
        scu, scp = (1, 0) if proposal is None else (proposal.scu, proposal.scp)
        if role.scu > scu or role.scp > scp:
            raise malformed(f"the upstream accepts a role never proposed for {role.sop_class.decode()}")
    classes_asked = {extended.sop_class for extended in asked.extended}
    return answered._replace(
        asynchronous_operations=None if asked.asynchronous_operations is None else answered.asynchronous_operations,
        role_selections=tuple(role for role in answered.role_selections if role.sop_class in roles_asked),
        extended=tuple(extended for extended in answered.extended if extended.sop_class in classes_asked),
    )
