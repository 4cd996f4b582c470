"""What the client is told was accepted was proposed by the client and accepted by the upstream."""

from __future__ import annotations

from typing import Any

import pytest

from dicomgate.association.accept_check import check_accept
from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.presentation import AnsweredContext, ProposedContext
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError
from dicomgate.wire.user_information import ExtendedNegotiation, Negotiation, RoleSelection

CT, MR = b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.4"


def asked(*contexts: int, **negotiation: Any) -> AssociateRequest:
    proposals = [ProposedContext(context, CT, (raw.EXPLICIT, raw.IMPLICIT)) for context in contexts or (1,)]
    return AssociateRequest("PACS", "CT1", tuple(proposals), Negotiation(16384, **negotiation))


def answer(*contexts: AnsweredContext, response: bytes | None = None, **negotiation: Any) -> AssociateAccept:
    return AssociateAccept(
        contexts or (AnsweredContext(1, 0, raw.IMPLICIT),), Negotiation(32768, **negotiation), response
    )


def test_what_was_proposed_and_accepted_goes_on() -> None:
    accept = answer(implementation_class_uid=b"1.2.3", implementation_version_name=b"PACS 1")
    assert check_accept(asked(), accept) == accept


def test_each_transfer_syntax_that_was_proposed_may_be_accepted() -> None:
    for syntax in (raw.EXPLICIT, raw.IMPLICIT):
        agreed = check_accept(asked(), answer(AnsweredContext(1, 0, syntax)))
        assert agreed.contexts == (AnsweredContext(1, 0, syntax),)


def test_a_foreign_server_response_is_dropped() -> None:
    for response in (b"", b"ticket"):
        agreed = check_accept(asked(), answer(response=response))
        assert agreed.server_response is None
        assert b"\x59\0" not in agreed.encode(asked())


def test_every_context_is_answered_in_the_order_of_the_request() -> None:
    accept = answer(AnsweredContext(3, 0, raw.IMPLICIT), AnsweredContext(5, 4, b""))
    agreed = check_accept(asked(5, 1, 3), accept)
    assert [(context.id, context.result) for context in agreed.contexts] == [(5, 4), (1, 2), (3, 0)]
    # PS3.8 9.3.3.2 wants one transfer syntax in each item; for those not accepted it means nothing.
    assert all(context.transfer_syntax in (raw.EXPLICIT, raw.IMPLICIT) for context in agreed.contexts)
    assert AssociateAccept.parse(agreed.encode(asked())).contexts[2] == AnsweredContext(3, 0, raw.IMPLICIT)


@pytest.mark.parametrize("result", [1, 2, 3, 4])
def test_a_rejected_context_stays_rejected_for_its_reason(result: int) -> None:
    (context,) = check_accept(asked(), answer(AnsweredContext(1, result, b""))).contexts
    assert (context.id, context.result, context.accepted) == (1, result, False)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (AnsweredContext(3, 0, raw.IMPLICIT), "context 3, which was never proposed"),
        (AnsweredContext(1, 0, b"1.2.840.10008.1.2.4.50"), r"1\.2\.840\.10008\.1\.2\.4\.50, never proposed"),
        (AnsweredContext(1, 0, CT), "never proposed for presentation context 1"),
    ],
)
def test_a_context_accepted_beyond_what_was_proposed(context: AnsweredContext, message: str) -> None:
    with pytest.raises(PduError, match=message) as refused:
        check_accept(
            asked(), answer(*{context.id: context, 1: context if context.id == 1 else answer().contexts[0]}.values())
        )
    assert refused.value.answer == INVALID_PARAMETER


@pytest.mark.parametrize(
    ("proposal", "accepted"), [((1, 1), (1, 1)), ((1, 1), (0, 1)), ((1, 1), (0, 0)), ((0, 1), (0, 1)), ((1, 0), (1, 0))]
)
def test_a_role_within_what_was_proposed(proposal: tuple[int, int], accepted: tuple[int, int]) -> None:
    roles = (RoleSelection(CT, *accepted),)
    agreed = check_accept(asked(role_selections=(RoleSelection(CT, *proposal),)), answer(role_selections=roles))
    assert agreed.negotiation.role_selections == roles


# decision: D28
@pytest.mark.parametrize(
    ("proposal", "accepted", "agreed"),
    [((1, 0), (1, 1), (1, 0)), ((0, 1), (1, 1), (0, 1)), ((1, 0), (0, 1), (0, 0)), ((0, 0), (1, 0), (0, 0))],
)
def test_a_role_beyond_what_was_proposed_is_reduced(
    proposal: tuple[int, int], accepted: tuple[int, int], agreed: tuple[int, int]
) -> None:
    request = asked(role_selections=(RoleSelection(CT, *proposal),))
    reduced = check_accept(request, answer(role_selections=(RoleSelection(CT, *accepted),)))
    assert reduced.negotiation.role_selections == (RoleSelection(CT, *agreed),)
    assert reduced.left_out == (f"of the upstream: a role never proposed for {CT.decode()}",)


# decision: D28
@pytest.mark.parametrize("role", [(1, 0), (0, 1), (1, 1)])
def test_a_role_unasked_is_dropped(role: tuple[int, int]) -> None:
    request = asked(role_selections=(RoleSelection(MR, 1, 1),))
    agreed = check_accept(request, answer(role_selections=(RoleSelection(CT, *role), RoleSelection(MR, 1, 1))))
    assert agreed.negotiation.role_selections == (RoleSelection(MR, 1, 1),)


# decision: D28
def test_a_rejection_of_what_was_never_proposed_is_dropped() -> None:
    agreed = check_accept(asked(), answer(*answer().contexts, AnsweredContext(3, 3, b"")))
    assert agreed == answer()
    assert agreed.left_out == ("of the upstream: its answer to presentation context 3, which was never proposed",)


@pytest.mark.parametrize(
    ("proposal", "answered", "agreed"),
    [((9, 9), (8, 8), (8, 8)), ((2, 0), (9, 9), (2, 9)), ((0, 2), (0, 0), (0, 2)), (None, (8, 8), None)],
)
def test_a_window_is_within_what_was_proposed(
    proposal: tuple[int, int] | None, answered: tuple[int, int], agreed: tuple[int, int] | None
) -> None:
    accept = check_accept(asked(asynchronous_operations=proposal), answer(asynchronous_operations=answered))
    assert accept.negotiation.asynchronous_operations == agreed


def test_what_is_merely_said_unasked_is_dropped() -> None:
    ct, mr = ExtendedNegotiation(CT, b"\1"), ExtendedNegotiation(MR, b"\1")
    assert check_accept(asked(), answer(extended=(ct, mr))).negotiation.extended == ()
    assert check_accept(asked(extended=(mr,)), answer(extended=(ct, mr))).negotiation.extended == (mr,)


def test_128_contexts() -> None:
    ids = tuple(range(1, 256, 2))
    accept = answer(*[AnsweredContext(context, 0, raw.EXPLICIT) for context in reversed(ids)])
    assert tuple(context.id for context in check_accept(asked(*ids), accept).contexts) == ids
