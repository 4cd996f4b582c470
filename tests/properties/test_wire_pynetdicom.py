"""What we read from the bytes is what pynetdicom's own decoder reads from them."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.user_information import Negotiation
from tests.properties.strategies import UNKNOWN, accepts, examples, items_of, requests, respell


def decoded(kind: type, pdu: bytes) -> A_ASSOCIATE_RQ | A_ASSOCIATE_AC:
    theirs = kind()
    theirs.decode(pdu)
    return theirs


def without_unknown_items(data: bytes, start: int = 0) -> bytes:
    # pynetdicom raises KeyError at an item of unknown type, where PS3.8 9.3.1 has it ignored.
    kept = b""
    for kind, body in items_of(data, start):
        fixed = {0x20: 4, 0x21: 4, 0x50: 0}.get(kind)
        if kind not in UNKNOWN:
            kept += raw.item(kind, body if fixed is None else body[:fixed] + without_unknown_items(body, fixed))
    return kept


def spelt(pdu: bytes, rng: Random) -> bytes:
    other = respell(pdu, rng)
    return raw.pdu(other[0], other[6:74] + without_unknown_items(other, 74))


def uid(theirs: str | None) -> bytes | None:
    return None if theirs is None else theirs.encode()


def assert_same_negotiation(ours: Negotiation, theirs: Any) -> None:
    assert theirs.maximum_length == ours.maximum_length
    assert uid(theirs.implementation_class_uid) == ours.implementation_class_uid
    window = theirs.async_ops_window
    invoked = None if window is None else (window.max_operations_invoked, window.max_operations_performed)
    assert invoked == ours.asynchronous_operations
    roles = [(uid(name), role.scu, role.scp) for name, role in theirs.role_selection.items()]
    assert roles == [tuple(role) for role in ours.role_selections]
    extended = [(uid(one.uid), one.app_info) for one in theirs.ext_neg]
    assert extended == [tuple(one) for one in ours.extended]
    common = [
        (
            uid(one.sop_class_uid),
            uid(one.service_class_uid),
            tuple(map(uid, one.related_general_sop_class_identification)),
        )
        for one in theirs.common_ext_neg
    ]
    assert common == [tuple(one) for one in ours.common_extended]


@examples(100)
@given(requests, st.randoms(use_true_random=False))
def test_requests(request: AssociateRequest, rng: Random) -> None:
    # Its version names have no backslash.
    request.negotiation = request.negotiation._replace(implementation_version_name=b"NAME 1")
    for pdu in (request.encode(), spelt(request.encode(), rng)):
        ours, theirs = AssociateRequest.parse(pdu), decoded(A_ASSOCIATE_RQ, pdu)
        assert theirs.called_ae_title.strip() == ours.called_ae_title
        assert theirs.calling_ae_title.strip() == ours.calling_ae_title
        contexts = [
            (context.context_id, uid(context.abstract_syntax), tuple(map(uid, context.transfer_syntax)))
            for context in theirs.presentation_context
        ]
        assert contexts == [tuple(context) for context in ours.contexts]
        information = theirs.user_information
        assert_same_negotiation(ours.negotiation, information)
        assert information.implementation_version_name == "NAME 1"
        identity = information.user_identity
        if ours.identity is None:
            assert identity is None
        else:
            assert identity.id_type == ours.identity.type
            assert identity.primary == ours.identity.primary
            assert (identity.secondary or b"") == ours.identity.secondary
            assert identity.response_requested is ours.identity.positive_response_requested


@examples(100)
@given(accepts, requests, st.randoms(use_true_random=False))
def test_answers(accept: AssociateAccept, request: AssociateRequest, rng: Random) -> None:
    accept.negotiation = accept.negotiation._replace(implementation_version_name=b"NAME 1")
    canonical = accept.encode(request)
    for pdu in (canonical, spelt(canonical, rng)):
        ours, theirs = AssociateAccept.parse(pdu), decoded(A_ASSOCIATE_AC, pdu)
        contexts = [(context.context_id, context.result) for context in theirs.presentation_context]
        assert contexts == [(context.id, context.result) for context in ours.contexts]
        syntaxes = [uid(context.transfer_syntax) for context in theirs.presentation_context if context.result == 0]
        assert syntaxes == [context.transfer_syntax for context in ours.contexts if context.accepted]
        assert_same_negotiation(ours.negotiation, theirs.user_information)
        identity = theirs.user_information.user_identity
        if ours.server_response is None:
            assert identity is None
        else:
            assert identity.response == ours.server_response


def test_what_pynetdicom_encodes_is_read() -> None:
    for kind in (1, 2, 3, 4, 5):
        pdu = decoded(A_ASSOCIATE_RQ, raw.rq(raw.login(kind, b"primary", b"pw" if kind == 2 else b""))).encode()
        identity = AssociateRequest.parse(pdu).identity
        assert identity is not None
        assert (identity.type, identity.primary) == (kind, b"primary")
