"""Over 100,000 random sequences of events: the rules at the top of handshake.py hold in every one.

The sequences come from a seeded generator, not from Hypothesis: it is the number that counts here. A failure names its
seed, and that seed alone makes the sequence again.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

from dicomgate import Accept, Identity, IdentityType, Pass, Peer, Presented, Reject, Unavailable
from dicomgate.association import effects as do
from dicomgate.association.admission import Policy
from dicomgate.association.handshake import Handshake
from dicomgate.association.route import Route, Shown
from dicomgate.association.transitions import HandshakeState as State
from dicomgate.auth.chain import Verdict
from dicomgate.events.events import Cause, Established, Refused
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.presentation import AnsweredContext, ProposedContext
from dicomgate.wire.reject_abort import Abort, AssociateReject
from dicomgate.wire.user_information import Negotiation

SEQUENCES = 100_000
CT, IMPLICIT = b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.1.2"
SECRET = b"Xq9-the-passcode"
REQUEST = AssociateRequest(
    "ORTHANC",
    "MODALITY",
    (ProposedContext(1, CT, (IMPLICIT,)),),
    Negotiation(16384, b"1.2.3.4"),
    Identity(IdentityType.USERNAME_AND_PASSCODE, b"alice", SECRET, True),
)
GOOD = AssociateAccept((AnsweredContext(1, 0, IMPLICIT),), Negotiation(32768, b"1.9"), b"theirs")
P_DATA = bytes.fromhex("04000000000c00000008010300000000000000")[:18]
CLIENT = [
    REQUEST.encode(), REQUEST.encode(), REQUEST.encode(), replace(REQUEST, identity=None).encode(),
    replace(REQUEST, called_ae_title="NOBODY").encode(), REQUEST.encode() + P_DATA, REQUEST.encode()[:-1],
    GOOD.encode(REQUEST), P_DATA, Abort(0, 0).encode(), bytes.fromhex("05000000000400000000"), b"\x2a\0", b"GET / HTTP",
]  # fmt: skip
UPSTREAM = [
    GOOD.encode(REQUEST), GOOD.encode(REQUEST), GOOD.encode(REQUEST) + P_DATA, AssociateReject(1, 1, 3).encode(),
    AssociateReject(2, 3, 2).encode(),
    Abort(2, 2).encode(), replace(GOOD, contexts=(AnsweredContext(9, 0, IMPLICIT),)).encode(REQUEST), P_DATA, b"\x16\3",
]  # fmt: skip
VERDICTS = [
    Verdict(Accept("alice"), "staff"), Verdict(Accept("alice"), "staff"), Verdict(Accept("alice"), "staff"),
    Verdict(Reject("no"), "staff"), Verdict(Pass("mine not"), ""), Verdict(Unavailable("down"), "staff"),
]  # fmt: skip
POLICY = Policy("clinical", routes={"ORTHANC": Route("pacs")})
SHOWN = Route("pacs", shown=Shown("ours", calling_ae_title="GATE"), positive_response="required")
OURS = Identity(IdentityType.JWT, b"the-gateway's-own")
SEVERAL = Route("pacs", pool=True)
POLICIES = [replace(POLICY, routes={"ORTHANC": route}, audit_required=required)
            for route in (Route("pacs"), SHOWN, SEVERAL) for required in (False, True)]  # fmt: skip
PRESENTED: list[Presented | Unavailable] = [
    Presented(OURS), Presented(OURS), Presented(OURS, lambda response: "" if response == b"theirs" else "forged"),
    Presented(OURS, lambda _: "forged"), Presented(Identity(IdentityType.JWT, b"x" * 70_000)), Unavailable("down"),
]  # fmt: skip
PEER = Peer("127.0.0.1", 1)
# The way that leads on, taken most of the time: a uniform choice would hardly ever get past the request.
ONWARDS = {
    State.REQUEST: 0,
    State.DECISION: 2,
    State.RECORDING: 9,
    State.PRESENTING: 10,
    State.CONNECTION: 3,
    State.ANSWER: 5,
}


def step(chance: random.Random, talk: Handshake) -> tuple[str, do.Effects]:
    """One random input and its effects."""
    kind = ONWARDS.get(talk.state, 0) if chance.random() < 0.8 else chance.randrange(11)
    match kind:
        case 0 | 1:
            data = CLIENT[0] if chance.random() < 0.5 else chance.choice(CLIENT)
            cut = chance.randrange(len(data) + 1) if chance.random() < 0.3 else len(data)
            return "client_data", talk.client_data(data[:cut]) + talk.client_data(data[cut:])
        case 2:
            verdict = chance.choice(VERDICTS)
            named = "accept" if isinstance(verdict.decision, Accept) else "refusal"
            return named, talk.decided(verdict)
        case 3:
            return "upstream_opened", talk.upstream_opened()
        case 4:
            return "upstream_failed", talk.upstream_failed("refused")
        case 5:
            data = chance.choice(UPSTREAM)
            cut = chance.randrange(len(data) + 1) if chance.random() < 0.3 else len(data)
            return "upstream_data", talk.upstream_data(data[:cut]) + talk.upstream_data(data[cut:])
        case 6:
            return "upstream_gone", talk.upstream_gone()
        case 7:
            return "client_gone", talk.client_gone()
        case 9:
            lost = chance.choice(["", "", "", "No space left on device"])
            return "lost" if lost else "recorded", talk.recorded(lost)
        case 10:
            answer = chance.choice(PRESENTED)
            return "presented" if isinstance(answer, Presented) else "none", talk.presented(answer)
        case _:
            ends = (talk.deadline, talk.deadline, talk.stopped, partial(talk.kicked, Cause.KICKED, "alice"))
            return "late", chance.choice(ends)()


def play(seed: int) -> str:
    """Play one sequence, check the rules, and say how far it came."""
    chance = random.Random(seed)
    policy = POLICIES[seed % len(POLICIES)]
    talk = Handshake("a", PEER, policy)
    recorded = not policy.audit_required  # where the audit is not required, nobody waits for it
    shows = policy.routes["ORTHANC"] is SHOWN
    presented = not shows
    accepted = opened = closed = handed_over = False
    answers = 0
    for _ in range(chance.randrange(1, 12)):
        before = talk.state
        name, effects = step(chance, talk)
        accepted = accepted or (name == "accept" and before is State.DECISION)
        recorded = recorded or (name == "recorded" and before is State.RECORDING)
        presented = presented or (name == "presented" and before is State.PRESENTING)
        opened = opened or (name == "upstream_opened" and before is State.CONNECTION)
        if before is State.ANSWER and talk.state is State.CONNECTION:
            assert policy.routes["ORTHANC"].pool, "another address where there is none"
            assert not answers, "another address behind an answer"
            opened = False
        for effect in effects:
            assert not closed, "an effect behind Close"
            assert not handed_over or isinstance(effect, do.Relay), "an effect behind the hand-over"
            if isinstance(effect, do.Connect):
                assert accepted, "a connection before Accept"
                assert recorded, "a connection before its record"
                assert presented, "a connection before the credential is there"
            elif isinstance(effect, do.Present):
                assert accepted, "a credential before Accept"
                assert recorded, "a credential before its record"
            elif isinstance(effect, do.ToUpstream):
                assert presented, "a PDU upstream before the credential is there"
                assert (OURS.primary in effect.pdu) == (shows and effect.pdu[0] == 1), "another identity went upstream"
                assert accepted, "a PDU upstream before Accept"
                assert opened, "a PDU upstream before there is a connection"
                assert SECRET not in effect.pdu, "the identity went upstream"
                assert b"alice" not in effect.pdu
            elif isinstance(effect, do.ToClient):
                if effect.pdu[0] == 2:
                    assert name == "upstream_data", "an A-ASSOCIATE-AC before the upstream's"
                    assert AssociateAccept.parse(effect.pdu).server_response == b"", "a foreign response"
                    assert effect.pdu[10:42] == REQUEST.encode()[10:42], "other AE titles than the client's"
                if effect.pdu[0] in (2, 3):
                    answers += 1
            elif isinstance(effect, do.Emit) and isinstance(effect.event, Refused):
                assert not isinstance(effect.event, Established)
            elif isinstance(effect, do.Relay):
                assert accepted
                assert talk.state is State.RELAYING
                handed_over = True
            elif isinstance(effect, do.Close):
                closed = True
        assert answers <= 1, "two answers to one request"
        assert closed == (talk.state is State.CLOSED)
    return talk.state.name


def test_no_sequence_of_events_breaks_a_rule() -> None:
    reached: dict[str, int] = {}
    for seed in range(SEQUENCES):
        try:
            state = play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        reached[state] = reached.get(state, 0) + 1
    # The sequences are worth their number only if they come far, and everywhere.
    assert set(reached) == {state.name for state in State}, reached
    assert reached["RELAYING"] > SEQUENCES / 50, reached
    assert min(reached.values()) > SEQUENCES / 200, reached
