"""The handshake as conversations: what goes in, what comes out. No sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

import pytest

from dicomgate import Accept, Decision, Identity, IdentityType, Once, Pass, Peer, Reject, Unavailable
from dicomgate.association import effects as do
from dicomgate.association.admission import Policy
from dicomgate.association.established import Association
from dicomgate.association.handshake import Handshake
from dicomgate.association.route import Reached, Route
from dicomgate.association.transitions import (
    ESTABLISHED,
    HANDSHAKE,
    EstablishedInput,
    EstablishedState,
    HandshakeInput,
    HandshakeState,
    Transitions,
    input_of,
)
from dicomgate.auth.chain import Verdict
from dicomgate.events.events import Cause, Decided, Established, Outcome, ReasonClass, Refused
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.presentation import AnsweredContext, ProposedContext
from dicomgate.wire.reject_abort import Abort, AssociateReject
from dicomgate.wire.user_information import ExtendedNegotiation, Negotiation, RoleSelection

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CT = b"1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"
ALICE = Identity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"pw", positive_response_requested=True)
POLICY = Policy(
    "clinical",
    routes={"ORTHANC": Route("pacs"), "FORWARD": Route("pacs", forward_identity=True)},
    artim=30,
    decision_timeout=3,
)
REQUEST = AssociateRequest(
    "ORTHANC",
    "MODALITY",
    (ProposedContext(1, CT, (IMPLICIT, EXPLICIT)), ProposedContext(3, b"1.2.3", (IMPLICIT,))),
    Negotiation(16384, b"1.2.3.4"),
    ALICE,
)
ANSWER = AssociateAccept((AnsweredContext(1, 0, EXPLICIT), AnsweredContext(3, 3, IMPLICIT)), Negotiation(32768, b"1.9"))
P_DATA = bytes.fromhex("04 00 0000000c 00000008 01 03 000000000000".replace(" ", ""))
RELEASE_RQ = bytes.fromhex("05000000000400000000")
ABORT = Abort(0, 0).encode()
YES = Verdict(Accept("alice"), "staff")


POOL = replace(POLICY, routes={"ORTHANC": Route("pacs", pool=True), "FORWARD": Route("pacs", True, pool=True)})


def handshake(policy: Policy = POLICY, over_limit: str = "") -> Handshake:
    return Handshake("a1", Peer("10.0.0.9", 40000), policy, over_limit=over_limit, clock=lambda: NOW)


def deciding(request: AssociateRequest = REQUEST, policy: Policy = POLICY) -> Handshake:
    talk = handshake(policy)
    assert isinstance(talk.client_data(request.encode())[-1], do.Decide)
    return talk


def connecting(request: AssociateRequest = REQUEST) -> Handshake:
    talk = deciding(request)
    talk.decided(YES)
    assert talk.state is HandshakeState.CONNECTION
    return talk


def awaiting(request: AssociateRequest = REQUEST, verdict: Verdict = YES) -> Handshake:
    talk = deciding(request)
    talk.decided(verdict)
    talk.upstream_opened()
    assert talk.state is HandshakeState.ANSWER
    return talk


def to_client(effects: do.Effects) -> bytes:
    return b"".join(effect.pdu for effect in effects if isinstance(effect, do.ToClient))


def to_upstream(effects: do.Effects) -> bytes:
    return b"".join(effect.pdu for effect in effects if isinstance(effect, do.ToUpstream))


_Kind = TypeVar("_Kind")


def told(effects: do.Effects, kind: type[_Kind]) -> list[_Kind]:
    return [effect.event for effect in effects if isinstance(effect, do.Emit) and isinstance(effect.event, kind)]


def only(kind: type[_Kind], effects: do.Effects) -> _Kind:
    """The single effect of a kind."""
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def test_from_request_to_relay() -> None:
    talk = handshake()
    effects = talk.client_data(REQUEST.encode())
    attempt = only(do.Decide, effects).attempt
    assert effects == [do.Timer(3), do.Decide(attempt)]
    assert (attempt.identity, attempt.called_ae_title, attempt.calling_ae_title) == (ALICE, "ORTHANC", "MODALITY")
    assert attempt.abstract_syntaxes == (CT.decode(), "1.2.3")
    assert (attempt.peer.address, attempt.listener, attempt.time) == ("10.0.0.9", "clinical", NOW)
    effects = talk.decided(YES)
    (decided,) = told(effects, Decided)
    assert decided.outcome is Outcome.ACCEPT
    assert effects == [do.Emit(decided), do.Timer(10.0), do.Connect("pacs")]
    assert talk.upstream_opened() == [do.ToUpstream(replace(REQUEST, identity=None).encode())]
    effects = talk.upstream_data(ANSWER.encode(REQUEST) + P_DATA)
    (established,), relay = told(effects, Established), only(do.Relay, effects)
    assert effects == [do.ToClient(replace(ANSWER, server_response=b"").encode(REQUEST)), do.Emit(established), relay]
    assert established.accepted == (CT.decode(),)
    assert established.rejected == ("1.2.3",)
    assert relay.early == P_DATA
    assert talk.state is HandshakeState.RELAYING
    assert talk.deadline() == talk.client_gone() == talk.stopped() == []


# decision: D1, D2, D3
@pytest.mark.parametrize(
    ("kind", "requested", "returned", "item"),
    [
        (IdentityType.SAML, False, b"x", None),
        (IdentityType.USERNAME_AND_PASSCODE, True, b"x", b""),
        (IdentityType.USERNAME_AND_PASSCODE, True, None, b""),
        (IdentityType.KERBEROS, True, b"AP-REP", b"AP-REP"),
        (IdentityType.JWT, True, None, b""),
    ],
)
def test_the_response_item_reaches_the_client(
    kind: IdentityType, requested: bool, returned: bytes | None, item: bytes | None
) -> None:
    secondary = b"pw" if kind is IdentityType.USERNAME_AND_PASSCODE else b""
    request = replace(REQUEST, identity=Identity(kind, b"alice", secondary, requested))
    talk = awaiting(request, Verdict(Accept("alice", server_response=returned), "any"))
    sent = to_client(talk.upstream_data(ANSWER.encode(request)))
    assert AssociateAccept.parse(sent).server_response == item
    assert (b"\x59\0\0\2\0\0" in sent) is (item == b"")


# decision: D4
def test_a_response_that_does_not_fit() -> None:
    request = replace(REQUEST, identity=Identity(IdentityType.JWT, b"token", b"", True))
    for size, fits in ((65_400, True), (65_536, False), (65_520, False)):
        talk = awaiting(request, Verdict(Accept("alice", server_response=b"x" * size), "issuer"))
        effects = talk.upstream_data(ANSWER.encode(request))
        if fits:
            assert talk.state is HandshakeState.RELAYING
            continue
        assert to_client(effects) == AssociateReject(2, 2, 1).encode()
        assert to_upstream(effects) == Abort(2, 0).encode()
        assert "does not fit" in told(effects, Refused)[0].reason


# decision: D5, D7, D8, D14
@pytest.mark.parametrize(
    ("decision", "codes"),
    [
        (Reject("wrong passcode"), (1, 2, 1)),
        (Pass("not mine"), (1, 2, 1)),
        (Unavailable("directory down"), (2, 2, 1)),
        (Accept("alice", expires_at=NOW - timedelta(seconds=1)), (1, 2, 1)),
        (Accept("alice", once=Once("key", NOW + timedelta(hours=1))), (2, 2, 1)),
        (Accept("alice", expires_at=NOW + timedelta(seconds=1)), None),
    ],
)
def test_what_is_not_admitted_gets_its_codes_and_no_upstream(
    decision: Decision, codes: tuple[int, int, int] | None
) -> None:
    talk = deciding()
    effects = talk.decided(Verdict(decision, "staff"))
    if codes is None:
        assert do.Connect("pacs") in effects
        return
    assert to_client(effects) == AssociateReject(*codes).encode()
    assert not any(isinstance(effect, do.Connect | do.ToUpstream) for effect in effects)
    (refused,) = told(effects, Refused)
    assert refused.reason.startswith("staff: ")
    assert told(effects, Decided)
    assert talk.state is HandshakeState.CLOSING


# decision: D9, D12, D18, D19
@pytest.mark.parametrize(
    ("request_", "policy", "over_limit", "pdu", "reason"),
    [
        (replace(REQUEST, identity=None), POLICY, "", AssociateReject(1, 2, 1), "no user identity"),
        (REQUEST, replace(POLICY, passcodes_allowed=False), "", AssociateReject(1, 2, 1), "a passcode came"),
        (replace(REQUEST, called_ae_title="NOBODY"), POLICY, "", AssociateReject(1, 1, 7), "no upstream takes"),
        (REQUEST, POLICY, "there are 500 already", AssociateReject(2, 3, 2), "there are 500 already"),
    ],
    ids=["identity required", "passcode in the clear", "called AE title", "too many"],
)
def test_refused_before_anybody_is_asked(
    request_: AssociateRequest, policy: Policy, over_limit: str, pdu: AssociateReject, reason: str
) -> None:
    effects = handshake(policy, over_limit).client_data(request_.encode())
    assert to_client(effects) == pdu.encode()
    assert not any(isinstance(effect, do.Decide | do.Connect) for effect in effects)
    (refused,) = told(effects, Refused)
    assert refused.answer == str(pdu)
    assert refused.reason.startswith(reason)


# decision: D10
def test_identity_is_optional_where_the_listener_says_so() -> None:
    talk = handshake(replace(POLICY, identity_required=False))
    effects = talk.client_data(replace(REQUEST, identity=None).encode())
    assert only(do.Decide, effects).attempt.identity is None
    # and if nobody claims it, it is refused all the same
    assert to_client(talk.decided(Verdict(Pass("nobody")))) == AssociateReject(1, 2, 1).encode()


def test_the_rest_goes_to_the_star() -> None:
    policy = replace(POLICY, routes={"*": Route("rest"), "ORTHANC": Route("pacs")})
    for title, upstream in (("ORTHANC", "pacs"), ("OTHER", "rest")):
        talk = deciding(replace(REQUEST, called_ae_title=title), policy)
        assert do.Connect(upstream) in talk.decided(YES)


def test_a_forwarded_identity_asks_for_no_response() -> None:
    request = replace(REQUEST, called_ae_title="FORWARD")
    talk = deciding(request)
    talk.decided(YES)
    assert AssociateRequest.parse(to_upstream(talk.upstream_opened())).identity == replace(
        ALICE, positive_response_requested=False
    )


# decision: D15
def test_a_malformed_request_is_answered_once() -> None:
    talk = handshake()
    pdu = bytearray(REQUEST.encode())
    pdu[75] ^= 1
    pdu[77] += 1
    effects = talk.client_data(bytes(pdu))
    assert to_client(effects) == Abort(2, 6).encode()
    assert talk.client_data(b"whatever follows" + ABORT) == []
    assert talk.client_gone() == [do.Close(Cause.REFUSED, "")]


# PS3.8 table 9-10, the client's column of the states in which the gateway is before the association is established.
PDUS = {
    "RQ": REQUEST.encode(), "AC": ANSWER.encode(REQUEST), "RJ": AssociateReject(1, 1, 1).encode(), "P-DATA": P_DATA,
    "RELEASE-RQ": RELEASE_RQ, "RELEASE-RP": b"\6" + RELEASE_RQ[1:], "ABORT": ABORT, "unknown": b"\x2a" + ABORT[1:],
}  # fmt: skip
AA_1, AA_8 = Abort(0, 0).encode(), Abort(2, 2).encode()


# decision: D20
@pytest.mark.parametrize("name", [name for name in PDUS if name not in ("RQ", "ABORT")])
def test_sta2_anything_but_a_request_is_aa_1(name: str) -> None:
    talk = handshake()
    effects = talk.client_data(PDUS[name])
    assert to_client(effects) == AA_1
    assert do.Timer(30) in effects
    assert talk.state is HandshakeState.CLOSING


# decision: D21
@pytest.mark.parametrize("make", [deciding, connecting, awaiting])
@pytest.mark.parametrize("name", list(PDUS))
def test_sta3_anything_but_an_abort_is_aa_8(make: Callable[[], Handshake], name: str) -> None:
    talk = make()
    effects = talk.client_data(PDUS[name])
    asked = make is awaiting
    if name == "ABORT":
        # AA-3 towards the client: close; the upstream, if it was asked, hears of it.
        assert to_client(effects) == b""
        assert effects[-1] == do.Close(Cause.ABORTED_BY_CLIENT, str(Abort(0, 0)))
    else:
        assert to_client(effects) == (Abort(2, 1).encode() if name == "unknown" else AA_8)
        assert talk.state is HandshakeState.CLOSING
        assert (do.CloseUpstream() in effects) is (make is not deciding)
    assert (to_upstream(effects) == Abort(2, 0).encode()) is asked
    assert talk.decided(YES) == talk.upstream_opened() == talk.upstream_data(PDUS["AC"]) == []


@pytest.mark.parametrize("name", list(PDUS))
def test_sta13_after_a_reject(name: str) -> None:
    talk = deciding()
    talk.decided(Verdict(Reject("no"), "staff"))
    effects = talk.client_data(PDUS[name])
    if name == "ABORT":
        assert effects == [do.Close(Cause.REFUSED, "")]  # AA-2
    elif name in ("RQ", "unknown"):
        assert to_client(effects) in (AA_8, Abort(2, 1).encode())  # AA-7
    else:
        assert effects == []  # AA-6
    assert talk.state is (HandshakeState.CLOSED if name == "ABORT" else HandshakeState.CLOSING)


# decision: D21
@pytest.mark.parametrize("behind", ["P-DATA", "RQ", "RELEASE-RQ", "unknown"])
def test_what_stands_behind_the_request_is_an_abort_and_nobody_is_asked(behind: str) -> None:
    effects = handshake().client_data(REQUEST.encode() + PDUS[behind])
    assert to_client(effects) in (AA_8, Abort(2, 1).encode())
    assert not any(isinstance(effect, do.Decide) for effect in effects)


def test_an_abort_right_behind_the_request() -> None:
    effects = handshake().client_data(REQUEST.encode() + ABORT)
    assert effects == [do.Close(Cause.ABORTED_BY_CLIENT, str(Abort(0, 0)))]


# decision: D23
def test_the_client_leaves_at_every_stage() -> None:
    for talk, asked in ((handshake(), False), (deciding(), False), (connecting(), False), (awaiting(), True)):
        silent = talk.state is HandshakeState.REQUEST
        effects = talk.client_gone("Connection reset by peer")
        assert effects[-1] == do.Close(Cause.NOTHING_SENT if silent else Cause.CLIENT_GONE, "Connection reset by peer")
        assert (to_upstream(effects) == Abort(2, 0).encode()) is asked
        assert talk.client_data(b"late") == talk.decided(YES) == talk.upstream_opened() == talk.deadline() == []


# decision: D37
def test_nothing_goes_upstream_before_a_record_that_is_required() -> None:
    def recording() -> Handshake:
        talk = deciding(policy=replace(POLICY, audit_required=True))
        (record,) = talk.decided(YES)
        assert isinstance(record, do.Record)
        assert isinstance(record.event, Decided)
        return talk

    assert recording().recorded("") == [do.Timer(10), do.Connect("pacs")]
    lost, late = recording(), recording()
    for talk, effects in ((lost, lost.recorded("a full disk")), (late, late.deadline())):
        assert to_client(effects) == AssociateReject(2, 2, 1).encode()
        assert talk.recorded("") == [], "what is written too late changes nothing"
        (refused,) = told(effects, Refused)
        assert talk is late or refused.reason == "a full disk"


# decision: D22, D24
def test_deadlines_at_every_stage() -> None:
    assert handshake().deadline() == [do.Close(Cause.TIMEOUT, "no A-ASSOCIATE-RQ within 30 s")]  # AA-2, no PDU
    assert to_client(deciding().deadline()) == AssociateReject(2, 2, 1).encode()
    assert to_client(connecting().deadline()) == AssociateReject(2, 3, 1).encode()
    late = awaiting().deadline()
    assert to_client(late) == AssociateReject(2, 3, 1).encode()
    assert to_upstream(late) == Abort(2, 0).encode()
    refused = deciding()
    refused.decided(Verdict(Reject("no"), "staff"))
    assert refused.deadline() == [do.Close(Cause.REFUSED, "")]


# decision: D29
def test_the_gateway_stops_at_every_stage() -> None:
    for talk in (handshake(), deciding(), connecting(), awaiting()):
        effects = talk.stopped()
        assert to_client(effects) == Abort(2, 0).encode()
        assert effects[-1] == do.Close(Cause.DRAINED, "")


# decision: D48
def test_a_kick_at_every_stage() -> None:
    kick = (Cause.KICKED, "uid 1000 (alice): a lost laptop")
    recording = deciding(policy=replace(POLICY, audit_required=True))
    recording.decided(YES)
    for talk in (deciding(), recording, connecting(), awaiting()):
        asked = talk.state is HandshakeState.ANSWER
        effects = talk.kicked(*kick)
        assert to_client(effects) == AssociateReject(1, 2, 1).encode()
        assert to_upstream(effects) == (Abort(2, 0).encode() if asked else b"")
        (refused,) = told(effects, Refused)
        assert refused.reason_class is ReasonClass.KICKED
        assert refused.reason == "ended by the operator: uid 1000 (alice): a lost laptop"
        assert talk.decided(YES) == talk.recorded("") == talk.upstream_data(ANSWER.encode(REQUEST)) == []
        assert talk.kicked(*kick)[-1] == do.Close(Cause.REFUSED, "")
    assert handshake().kicked(*kick) == [do.ToClient(Abort(2, 0).encode()), do.Close(*kick)]


# decision: D24
def test_upstream_out_of_reach() -> None:
    for effects in (
        connecting().upstream_failed("127.0.0.1:4242: Connection refused"),
        awaiting().upstream_gone(),
        awaiting().upstream_gone("Connection reset by peer"),
    ):
        assert to_client(effects) == AssociateReject(2, 3, 1).encode()
        assert "pacs" in told(effects, Refused)[0].reason
        assert to_upstream(effects) == b""


# decision: D25, D26
@pytest.mark.parametrize("pdu", [AssociateReject(1, 1, 3), AssociateReject(2, 3, 2), Abort(0, 0), Abort(2, 5)], ids=str)
def test_the_upstreams_refusal_passes_as_it_is(pdu: AssociateReject | Abort) -> None:
    effects = awaiting().upstream_data(pdu.encode())
    assert to_client(effects) == pdu.encode()
    assert do.CloseUpstream() in effects
    assert told(effects, Refused)[0].answer == str(pdu)


@pytest.mark.parametrize(
    ("came", "passed_on"), [(AssociateReject(9, 1, 4), AssociateReject(1, 1, 1)), (Abort(1, 77), Abort(2, 0))]
)
def test_a_refusal_with_codes_that_the_standard_does_not_know(
    came: AssociateReject | Abort, passed_on: AssociateReject | Abort
) -> None:
    effects = awaiting().upstream_data(came.encode())
    assert to_client(effects) == passed_on.encode()
    (refused,) = told(effects, Refused)
    assert refused.answer == str(passed_on)
    assert str(came) in refused.reason, "the log names what came"


def hostile(**changes: Any) -> bytes:
    return replace(ANSWER, **changes).encode(REQUEST)


HOSTILE = {
    "context": hostile(contexts=(*ANSWER.contexts, AnsweredContext(5, 0, IMPLICIT))),
    "transfer syntax": hostile(contexts=(AnsweredContext(1, 0, b"1.2.840.10008.1.2.4.50"),)),
    "twice": hostile(contexts=(AnsweredContext(1, 0, IMPLICIT), AnsweredContext(1, 0, IMPLICIT))),
    "none": hostile(contexts=()),
    "length 1": hostile(negotiation=Negotiation(maximum_length=1)),
    "length": ANSWER.encode(REQUEST).replace(b"\x52\0\0\3", b"\x52\0\0\4"),
    "transfer syntax of an acceptance": ANSWER.encode(REQUEST).replace(EXPLICIT, EXPLICIT[:-1] + b"x"),
    "inner": ANSWER.encode(REQUEST).replace(b"\x51\0\0\4", b"\x51\0\xff\xff"),
    "4 GiB": b"\2\0\xff\xff\xff\xff" + bytes(80),
    "data": P_DATA,
    "RQ": REQUEST.encode(),
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n",
    "version 2": ANSWER.encode(REQUEST)[:7] + b"\2" + ANSWER.encode(REQUEST)[8:],
}


# decision: D27
@pytest.mark.parametrize("pdu", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_upstream_never_reaches_the_client(pdu: bytes) -> None:
    effects = awaiting().upstream_data(pdu)
    assert to_client(effects) == AssociateReject(2, 3, 1).encode()
    assert to_upstream(effects)[:1] == b"\7"
    assert do.CloseUpstream() in effects
    assert not told(effects, Established)


# decision: D28
def test_what_the_upstream_says_unasked_is_dropped() -> None:
    negotiation = Negotiation(
        32768, b"1.9", asynchronous_operations=(9, 9), extended=(ExtendedNegotiation(CT, b"\1"),),
        role_selections=(RoleSelection(CT, 0, 1),),
    )  # fmt: skip
    contexts = (*ANSWER.contexts, AnsweredContext(7, 3, IMPLICIT))
    effects = awaiting().upstream_data(
        hostile(negotiation=negotiation, server_response=b"the upstream's own", contexts=contexts)
    )
    answer = AssociateAccept.parse(to_client(effects))
    assert answer.negotiation == Negotiation(32768, b"1.9")
    assert answer.server_response == b""
    assert [context.id for context in answer.contexts] == [1, 3]
    assert told(effects, Established)[0].left_out == (
        "of the upstream: its answer to presentation context 7, which was never proposed",
        f"of the upstream: a role never proposed for {CT.decode()}",
    )


# decision: D34
def test_a_context_that_is_refused_alone_never_reaches_the_upstream_and_is_answered() -> None:
    strange = replace(REQUEST, contexts=(*REQUEST.contexts, ProposedContext(5, b"1.2\xe2\x80\x8b", (IMPLICIT,))))
    talk = handshake()
    decide = only(do.Decide, talk.client_data(strange.encode()))
    assert decide.attempt.abstract_syntaxes == (CT.decode(), "1.2.3")
    talk.decided(YES)
    assert talk.upstream_opened() == [do.ToUpstream(replace(REQUEST, identity=None).encode())]
    effects = talk.upstream_data(ANSWER.encode(REQUEST))
    assert AssociateAccept.parse(to_client(effects)).contexts[2] == AnsweredContext(5, 3, b"")
    assert "presentation context 5" in told(effects, Established)[0].left_out[0]
    stream = only(do.Relay, effects).from_client
    data = bytearray(P_DATA)
    data[10] = 5
    assert stream.walk(data, len(data), only(do.Relay, effects).from_upstream) == 0
    assert "context 5, which was not accepted" in str(stream.found)
    # An upstream that accepts it accepts what it was never asked.
    talk = awaiting(strange)
    assert to_client(talk.upstream_data(hostile(contexts=(AnsweredContext(5, 0, IMPLICIT),)))) == (
        AssociateReject(2, 3, 1).encode()
    )


# decision: D35
def test_a_request_whose_contexts_are_all_refused_asks_nobody() -> None:
    strange = replace(REQUEST, contexts=(ProposedContext(5, b"1.2\xe2\x80\x8b", (IMPLICIT,)),))
    effects = handshake().client_data(strange.encode())
    assert to_client(effects) == AssociateReject(1, 1, 1).encode()
    assert 'presentation context 5: its abstract syntax "1.2"' in told(effects, Refused)[0].reason


# decision: D15
def test_a_request_over_the_limit_names_the_key() -> None:
    header = b"\1\0" + (300_000).to_bytes(4)
    assert "max_request_bytes" in told(handshake().client_data(header), Refused)[0].reason
    assert handshake(replace(POLICY, request_limit=300_000)).client_data(header) == []


# decision: D33
@pytest.mark.parametrize("ends", [True, False])
def test_the_relay_is_told_when_the_credential_ends(ends: bool) -> None:
    until = NOW + timedelta(hours=1)
    talk = deciding(policy=replace(POLICY, end_with_credential=ends))
    talk.decided(Verdict(Accept("alice", expires_at=until), "staff"))
    talk.upstream_opened()
    assert only(do.Relay, talk.upstream_data(ANSWER.encode(REQUEST))).ends == (until if ends else None)


# -- the table of legal moves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "states", "inputs", "machine", "last"),
    [
        (HANDSHAKE, HandshakeState, HandshakeInput, Handshake, {HandshakeState.CLOSED, HandshakeState.RELAYING}),
        (ESTABLISHED, EstablishedState, EstablishedInput, Association, {EstablishedState.CLOSED}),
    ],
)
def test_the_table_names_every_state_and_every_input_is_a_method(
    table: Transitions[Any, Any], states: type[Enum], inputs: type[Enum], machine: type, last: set[Any]
) -> None:
    assert set(table) == set(states)
    assert not any(table[state] for state in last)
    assert {name for row in table.values() for name in row} == set(inputs)
    assert all(callable(getattr(machine, name.name.lower())) for name in inputs)


def test_a_misspelt_input_fails_when_its_machine_is_imported() -> None:
    decorator = input_of(HANDSHAKE, HandshakeInput)

    def client_date(machine: Handshake) -> do.Effects:
        raise NotImplementedError

    with pytest.raises(KeyError, match="CLIENT_DATE"):
        decorator(client_date)


class Stray:
    """A machine whose input leads where it should not."""

    def __init__(self, state: HandshakeState, to: HandshakeState) -> None:
        self.state = state
        self.to = to

    @input_of(HANDSHAKE, HandshakeInput)
    def upstream_opened(self) -> list[str]:
        """Go there."""
        self.state = self.to
        return ["an effect"]


@pytest.mark.parametrize("to", HandshakeState)
def test_a_move_outside_the_table_raises(to: HandshakeState) -> None:
    if to is HandshakeState.ANSWER:
        assert Stray(HandshakeState.CONNECTION, to).upstream_opened() == ["an effect"]
        return
    with pytest.raises(RuntimeError, match=f"UPSTREAM_OPENED led from CONNECTION to {to.name}"):
        Stray(HandshakeState.CONNECTION, to).upstream_opened()


def test_an_input_that_comes_too_late_does_nothing() -> None:
    late = Stray(HandshakeState.ANSWER, HandshakeState.REQUEST)
    assert late.upstream_opened() == []
    assert late.state is HandshakeState.ANSWER


def test_an_identity_that_grew_too_long_to_forward_is_refused_before_anything_is_connected() -> None:
    # A username of Latin-1 letters doubles in UTF-8: it fitted as it came, and does not fit as it would go.
    policy = replace(POLICY, fallback_encoding="latin-1")
    for letters, fits in ((30_000, True), (40_000, False)):
        name = ("é" * letters).encode("latin-1")
        pdu = replace(REQUEST, called_ae_title="FORWARD", identity=replace(ALICE, primary=name)).encode()
        talk = handshake(policy)
        talk.client_data(pdu)
        effects = talk.decided(YES)
        assert any(isinstance(effect, do.Connect) for effect in effects) is fits
        if not fits:
            assert to_client(effects) == AssociateReject(2, 2, 1).encode()


# -- what the chain is asked ------------------------------------------------------------------------------------------


def test_the_attempt_has_the_whole_request_encoded_anew() -> None:
    unknown = bytes.fromhex("c0000003") + b"???"  # an item that nobody knows, behind the last one
    pdu = bytearray(replace(REQUEST, identity=replace(ALICE, primary="zoë".encode("latin-1"))).encode() + unknown)
    pdu[2:6] = (len(pdu) - 6).to_bytes(4, "big")
    policy = replace(POLICY, fallback_encoding="latin-1")
    talk = Handshake("a1", Peer("10.0.0.9", 40000), policy, arrived_at=("10.0.0.1", 11112), clock=lambda: NOW)
    decide = only(do.Decide, talk.client_data(bytes(pdu)))
    assert decide.attempt.request is not None
    assert decide.attempt.request() == replace(REQUEST, identity=replace(ALICE, primary="zoë".encode())).encode()
    assert decide.attempt.arrived_at == ("10.0.0.1", 11112)
    assert b"pw" in decide.attempt.request(), "the control: it is there"
    assert "pw" not in repr(decide.attempt)


BUSY, UNKNOWN = AssociateReject(2, 3, 2), AssociateReject(1, 1, 3)
TICKET = replace(ALICE, type=IdentityType.KERBEROS, secondary=b"")
FORWARDED = replace(REQUEST, called_ae_title="FORWARD")


def asked_at_a(request: AssociateRequest = REQUEST, verdict: Verdict = YES) -> Handshake:
    talk = deciding(request, POOL)
    talk.decided(verdict)
    talk.upstream_opened(Reached("a:104", 0.1))
    return talk


# decision: D52
@pytest.mark.parametrize("answer", [BUSY, Abort(2, 0), None], ids=["transient", "A-ABORT", "end"])
@pytest.mark.parametrize("request_", [REQUEST, FORWARDED], ids=["stripped", "passcode forwarded"])
def test_another_address_is_asked_where_one_is_busy_or_breaks(
    answer: AssociateReject | Abort | None, request_: AssociateRequest
) -> None:
    talk = asked_at_a(request_)
    effects = talk.upstream_gone() if answer is None else talk.upstream_data(answer.encode())
    assert effects == [do.CloseUpstream(), do.ConnectAgain()]
    assert only(do.ToUpstream, talk.upstream_opened(Reached("b:104", 0.1))).pdu[:1] == b"\1"
    effects = talk.upstream_data(ANSWER.encode(request_))
    assert to_client(effects)[:1] == b"\2"
    assert talk.state is HandshakeState.RELAYING
    (established,) = told(effects, Established)
    assert (established.upstream_address, established.connect_seconds) == ("b:104", 0.1)


def test_where_no_address_is_left_the_client_gets_the_last_word_of_the_pacs() -> None:
    talk = asked_at_a()
    talk.upstream_data(BUSY.encode())
    talk.upstream_opened(Reached("b:104", 0.1))
    talk.upstream_gone("Broken pipe")
    effects = talk.upstream_failed("c:104: Connection refused")
    assert to_client(effects) == BUSY.encode()
    (refused,) = told(effects, Refused)
    assert refused.reason == (
        f"pacs: a:104: {BUSY}; b:104: the connection ended before its A-ASSOCIATE-AC; c:104: Connection refused"
    )


# decision: D53
@pytest.mark.parametrize(
    ("request_", "verdict", "answer"),
    [
        (REQUEST, YES, UNKNOWN),
        (replace(FORWARDED, identity=TICKET), YES, BUSY),
        (FORWARDED, replace(YES, used_up=True), BUSY),
    ],
    ids=["permanent", "a ticket was sent", "a one-time passcode was sent"],
)
def test_no_other_address_is_asked_where_it_would_not_be_right(
    request_: AssociateRequest, verdict: Verdict, answer: AssociateReject
) -> None:
    talk = asked_at_a(request_, verdict)
    effects = talk.upstream_data(answer.encode())
    assert to_client(effects) == answer.encode()
    assert told(effects, Refused)[0].reason == "upstream pacs (a:104) refused"
