"""Contexts: what of a request goes on, what the client is told of the rest, and what is said to be missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicomgate.rights.contexts import narrowed
from dicomgate.rights.rights import EVERYTHING, Rights
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import AnsweredContext, ProposedContext
from dicomgate.wire.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    Negotiation,
    RoleSelection,
)
from tests.wire import commands as c

IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"
PRIVATE = b"1.2.3"
EARLIER = AnsweredContext(99, 3, IMPLICIT)


def request(*classes: bytes, roles: tuple[RoleSelection, ...] = ()) -> AssociateRequest:
    """Contexts 1, 3, 5 ... of these classes, each class with extended and common extended negotiation."""
    contexts = [ProposedContext(2 * at + 1, it, (EXPLICIT, IMPLICIT)) for at, it in enumerate(classes)]
    negotiation = Negotiation(
        16384,
        role_selections=roles,
        extended=tuple(ExtendedNegotiation(it, b"\1") for it in dict.fromkeys(classes)),
        common_extended=tuple(CommonExtendedNegotiation(it, b"1.2.840.10008.4.2", ()) for it in dict.fromkeys(classes)),
    )
    return AssociateRequest("PACS", "CT1", tuple(contexts), negotiation, refused=(EARLIER,))


def may(*classes: bytes) -> Rights:
    return Rights(classes=frozenset(classes))


def test_what_is_granted_goes_on_as_it_came() -> None:
    whole = request(c.CT, PRIVATE, c.CT, roles=(RoleSelection(c.CT, 1, 1),))
    for rights in (EVERYTHING, may(c.CT, PRIVATE)):
        assert narrowed(whole, rights) == (whole, ())


def test_what_is_not_granted_leaves_nothing_behind_and_is_refused() -> None:
    roles = RoleSelection(c.CT, 1, 1), RoleSelection(c.FIND_STUDIES, 1, 1)
    part, withheld = narrowed(request(c.CT, c.FIND_STUDIES, c.CT, PRIVATE, roles=roles), may(c.FIND_STUDIES))
    # Only context 3 is left, and nothing of the others in any item.
    expected = request(c.FIND_STUDIES, roles=roles[1:])
    assert part == replace(expected, contexts=(replace_id(expected.contexts[0], 3),))
    assert part.refused == (EARLIER, *(AnsweredContext(number, 1, EXPLICIT) for number in (1, 5, 7)))
    assert [tuple(denial) for denial in withheld] == [
        ("1.2.3", "presentation context", 'allow = "1.2.3"'),
        ("store", "presentation context", 'allow = "store"'),
    ]


def replace_id(context: ProposedContext, number: int) -> ProposedContext:
    return context._replace(id=number)


@pytest.mark.parametrize(
    ("role", "granted", "becomes", "missing"),
    [
        ((0, 1), {c.GET_STUDIES}, (0, 1), []),
        ((1, 1), {c.GET_STUDIES}, (0, 1), []),
        ((1, 1), {c.GET_STUDIES, c.CT}, (1, 1), []),
        ((1, 0), {c.GET_STUDIES}, None, ["store"]),
        (None, {c.GET_STUDIES}, None, ["store"]),
        ((0, 1), set(), None, ["get"]),
        ((1, 1), set(), None, ["get", "store"]),
        ((0, 1), {c.CT}, (0, 1), ["get"]),
    ],
)
def test_storage_is_received_only_with_its_role_and_a_granted_get(
    role: tuple[int, int] | None, granted: set[bytes], becomes: tuple[int, int] | None, missing: list[str]
) -> None:
    roles = () if role is None else (RoleSelection(c.CT, *role),)
    part, withheld = narrowed(request(c.GET_STUDIES, c.CT, roles=roles), may(*granted))
    assert (c.CT in {context.abstract_syntax for context in part.contexts}) is (becomes is not None or c.CT in granted)
    assert part.negotiation.role_selections == (() if becomes is None else (RoleSelection(c.CT, *becomes),))
    assert [denial.service for denial in withheld] == missing


def test_get_does_not_open_what_it_does_not_need() -> None:
    """Only storage is received in a C-GET, and only beside one that is proposed."""
    for classes in ((c.GET_STUDIES, c.FIND_STUDIES), (c.VERIFICATION, c.CT)):
        roles = (RoleSelection(classes[1], 0, 1),)
        part, _ = narrowed(request(*classes, roles=roles), may(c.GET_STUDIES, c.VERIFICATION))
        assert [context.abstract_syntax for context in part.contexts] == [classes[0]]
        assert part.negotiation.role_selections == ()
    part, _ = narrowed(request(c.GET_STUDIES, PRIVATE, roles=(RoleSelection(PRIVATE, 0, 1),)), may(c.GET_STUDIES))
    assert len(part.contexts) == 2, "a class that the standard does not know is taken for one of storage"


def test_get_of_hanging_protocols_opens_nothing_of_patients() -> None:
    get, stored = b"1.2.840.10008.5.1.4.38.4", b"1.2.840.10008.5.1.4.38.1"
    roles = tuple(RoleSelection(it, 0, 1) for it in (stored, c.CT))
    for granted, received in ((get, [stored]), (c.GET_STUDIES, [stored, c.CT])):
        part, withheld = narrowed(request(granted, stored, c.CT, roles=roles), may(granted))
        assert [context.abstract_syntax for context in part.contexts] == [granted, *received]
        assert [denial.missing for denial in withheld] == ['allow = "get"'][len(received) - 1 :]
