"""As whom the upstream sees an association: conversations with a credential, and with other AE titles. No sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from dicomgate import Accept, Admission, Identity, IdentityType, Presented, Unavailable
from dicomgate.association import effects as do
from dicomgate.association.handshake import Handshake
from dicomgate.association.route import PositiveResponse, Route, Shown
from dicomgate.association.transitions import HandshakeState
from dicomgate.auth.chain import Verdict
from dicomgate.events.events import Established, ReasonClass, Refused
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.reject_abort import Abort, AssociateReject
from tests.association.test_handshake import (
    ABORT,
    ANSWER,
    NOW,
    POLICY,
    REQUEST,
    YES,
    deciding,
    only,
    to_client,
    to_upstream,
    told,
)

OURS = Identity(IdentityType.KERBEROS, b"the gateway's ticket")
AS_CLINIC = Shown("to-hospital", 3.0, "CLINIC7", "ARC")
RESPONSE = b"its proof"


def presenting(
    positive_response: PositiveResponse = "asked", shown: Shown = AS_CLINIC, *, audit_required: bool = False
) -> tuple[Handshake, do.Effects]:
    """A handshake whose client is admitted, and the effects of that."""
    route = Route("pacs", shown=shown, positive_response=positive_response)
    policy = replace(POLICY, routes={"ORTHANC": route}, audit_required=audit_required)
    talk = deciding(policy=policy)
    accept = Accept("alice", frozenset({"radiology"}), attributes={"ward": "7"}, expires_at=NOW + timedelta(hours=2))
    return talk, talk.decided(Verdict(accept, "staff"))


def test_the_upstream_sees_the_gateways_identity_and_the_client_its_own_titles() -> None:
    talk, effects = presenting()
    asked = only(do.Present, effects)
    assert effects[1:] == [do.Timer(3.0), asked]
    assert asked.credential == "to-hospital"
    assert asked.admission == Admission(
        "a1", "clinical", "pacs", "staff", "alice", frozenset({"radiology"}), {"ward": "7"}, "CLINIC7", "ARC",
        REQUEST.identity, NOW, NOW + timedelta(hours=2),
    )  # fmt: skip
    assert talk.presented(Presented(OURS)) == [do.Timer(10.0), do.Connect("pacs")]
    sent = AssociateRequest.parse(to_upstream(talk.upstream_opened()))
    identity = replace(OURS, positive_response_requested=True)
    assert sent == replace(REQUEST, identity=identity, calling_ae_title="CLINIC7", called_ae_title="ARC")
    effects = talk.upstream_data(replace(ANSWER, server_response=RESPONSE).encode(sent))
    # The client asked for a response itself, and gets the gateway's: of zero length for a passcode.
    assert to_client(effects) == replace(ANSWER, server_response=b"").encode(REQUEST)
    assert told(effects, Established)[0].credential == "to-hospital"


def test_other_titles_need_no_credential() -> None:
    talk, effects = presenting(shown=replace(AS_CLINIC, credential=""))
    assert effects[1:] == [do.Timer(10.0), do.Connect("pacs")]
    sent = to_upstream(talk.upstream_opened())
    assert sent == replace(REQUEST, identity=None, calling_ae_title="CLINIC7", called_ae_title="ARC").encode()
    effects = talk.upstream_data(ANSWER.encode(REQUEST))
    assert to_client(effects) == replace(ANSWER, server_response=b"").encode(REQUEST)
    assert told(effects, Established)[0].credential == ""


def test_the_record_comes_before_the_credential() -> None:
    talk, effects = presenting(audit_required=True)
    assert [type(effect) for effect in effects] == [do.Record]
    assert only(do.Present, talk.recorded()).credential == "to-hospital"


# decision: D45
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Unavailable("the issuer is down"), "credential to-hospital: the issuer is down"),
        (Presented(OURS, expires_at=NOW), "credential to-hospital: it ended at 2026-01-02T03:04:05+00:00"),
        (None, "credential to-hospital: no answer within 3 s"),
        (Presented(OURS, expires_at=NOW + timedelta(seconds=1)), None),
    ],
)
def test_without_its_credential_nothing_goes_upstream(answer: Presented | Unavailable | None, why: str | None) -> None:
    talk, _ = presenting()
    effects = talk.deadline() if answer is None else talk.presented(answer)
    if why is None:
        assert do.Connect("pacs") in effects
        return
    assert to_client(effects) == AssociateReject(2, 3, 1).encode()
    assert not any(isinstance(effect, do.Connect | do.ToUpstream) for effect in effects)
    (refused,) = told(effects, Refused)
    assert (refused.reason, refused.reason_class) == (why, ReasonClass.CREDENTIAL_UNAVAILABLE)
    assert talk.presented(Presented(OURS)) == []


# decision: D46
def test_a_credential_that_does_not_fit_the_request() -> None:
    for size, fits in ((65_000, True), (65_530, False), (70_000, False)):
        talk, _ = presenting()
        effects = talk.presented(Presented(Identity(IdentityType.JWT, b"x" * size)))
        if fits:
            assert do.Connect("pacs") in effects
            continue
        assert to_client(effects) == AssociateReject(2, 2, 1).encode()
        assert "credential to-hospital: it does not fit" in told(effects, Refused)[0].reason


def _broken(_: bytes) -> str:
    raise ValueError("ticket-secret")


def _odd(_: bytes) -> str:
    return True  # type: ignore[return-value]


# decision: D47
@pytest.mark.parametrize(
    ("positive_response", "verify", "response", "wrong"),
    [
        ("required", lambda _: "", None, "no server response (59H)"),
        ("required", None, None, "no server response (59H)"),
        ("required", lambda _: "its checksum is wrong", b"\0", "proves nothing: its checksum is wrong"),
        ("required", _broken, RESPONSE, "proves nothing: defect: ValueError"),
        ("required", _odd, RESPONSE, "proves nothing: defect: verify returned bool"),
        ("required", lambda found: "" if found == RESPONSE else "another's", RESPONSE, ""),
        ("required", None, b"", ""),
        ("asked", _broken, None, ""),
        ("none", _broken, RESPONSE, ""),
    ],
)
def test_a_response_that_proves_nothing(
    positive_response: PositiveResponse, verify: Callable[[bytes], str] | None, response: bytes | None, wrong: str
) -> None:
    talk, _ = presenting(positive_response)
    talk.presented(Presented(OURS, verify))
    sent = AssociateRequest.parse(to_upstream(talk.upstream_opened()))
    assert sent.identity == replace(OURS, positive_response_requested=positive_response != "none")
    effects = talk.upstream_data(replace(ANSWER, server_response=response).encode(sent))
    if not wrong:
        assert talk.state is HandshakeState.RELAYING
        assert AssociateAccept.parse(to_client(effects)).server_response == b""
        return
    assert to_client(effects) == AssociateReject(2, 3, 1).encode()
    assert to_upstream(effects) == Abort(2, 0).encode()
    (refused,) = told(effects, Refused)
    assert wrong in refused.reason
    assert "secret" not in refused.reason
    assert refused.reason_class is ReasonClass.UPSTREAM_UNVERIFIED


# decision: D33
@pytest.mark.parametrize(("theirs", "ours", "first"), [(None, 1, 1), (2, 1, 1), (1, 2, 1), (2, None, 2)])
def test_the_association_ends_with_the_first_credential_that_does(
    theirs: int | None, ours: int | None, first: int
) -> None:
    ends = [None if hours is None else NOW + timedelta(hours=hours) for hours in (theirs, ours, first)]
    for heeded in (True, False):
        policy = replace(POLICY, routes={"ORTHANC": Route("pacs", shown=AS_CLINIC)}, end_with_credential=heeded)
        talk = deciding(policy=policy)
        talk.decided(Verdict(Accept("alice", expires_at=ends[0]), "staff"))
        talk.presented(Presented(OURS, expires_at=ends[1]))
        talk.upstream_opened()
        assert only(do.Relay, talk.upstream_data(ANSWER.encode(REQUEST))).ends == (ends[2] if heeded else None)


# decision: D21, D23
def test_the_client_while_the_credential_is_made() -> None:
    talk, _ = presenting()
    assert [type(effect) for effect in talk.client_data(ABORT)] == [do.Close]
    talk, _ = presenting()
    assert to_client(talk.client_data(REQUEST.encode())) == Abort(2, 2).encode()
    assert talk.presented(Presented(OURS)) == []


def test_yes_alone_presents_nothing() -> None:
    """The control: without a credential no credential is asked."""
    assert not any(isinstance(effect, do.Present) for effect in deciding().decided(YES))
