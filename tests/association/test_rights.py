"""An association whose client has less than all rights, from its request to its last answer. No sockets."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest

from dicomgate import Accept
from dicomgate.association import effects as do
from dicomgate.association.handshake import Handshake
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.auth.chain import Verdict
from dicomgate.contract import Peer
from dicomgate.events.events import Decided, Denied, Established, ReasonClass, Refused
from dicomgate.rights.operations import Denial
from dicomgate.rights.rights import EVERYTHING, Moves, Rights
from dicomgate.rights.rule import Who
from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.dimse import CommandSet, refused_response
from dicomgate.wire.presentation import AnsweredContext, ProposedContext
from dicomgate.wire.reject_abort import INVALID_PARAMETER, AssociateReject
from dicomgate.wire.user_information import Negotiation, RoleSelection
from tests.association.conversation import CLIENT, UPSTREAM, Conversation
from tests.association.test_handshake import ALICE, NOW, POLICY, to_client, to_upstream, told
from tests.wire import commands as c

IMPLICIT = b"1.2.840.10008.1.2"
CONTEXTS = {1: c.VERIFICATION, 3: c.FIND_STUDIES, 5: c.MOVE_STUDIES, 7: c.GET_STUDIES, 9: c.CT, 11: c.MR}
REQUEST = AssociateRequest(
    "ORTHANC",
    "WS_1",
    tuple(ProposedContext(number, sop_class, (IMPLICIT,)) for number, sop_class in CONTEXTS.items()),
    Negotiation(100, role_selections=(RoleSelection(c.CT, 1, 1),)),
    ALICE,
)
VIEWER = Rights(
    classes=frozenset({c.VERIFICATION, c.FIND_STUDIES, c.MOVE_STUDIES, c.GET_STUDIES}),
    moves=(Moves(frozenset({c.MOVE_STUDIES}), (), "WS_1"),),
    rules=("viewers",),
)


class Gated:
    """A client that has logged in with these rights, before the PACS is asked."""

    def __init__(self, rights: Rights | None, enforce: bool = True) -> None:
        self.who = Mock(return_value=rights)
        self.denied: list[Denial] = []
        policy = POLICY
        if rights is not None:
            policy = replace(POLICY, rights=self.who, enforce_rights=enforce)
        self.handshake = Handshake("a1", Peer("10.0.0.9", 4), policy, clock=lambda: NOW, denied=self.denied.append)
        self.handshake.client_data(REQUEST.encode())
        accept = Accept("alice", groups=frozenset({"radiology"}), attributes={"site": "north"})
        self.decided = self.handshake.decided(Verdict(accept, "staff"))

    def asked(self) -> AssociateRequest:
        """What the PACS is asked."""
        return AssociateRequest.parse(to_upstream(self.handshake.upstream_opened()))

    def established(self) -> do.Effects:
        """The PACS accepts all that it is asked."""
        asked = self.asked()
        accept = tuple(AnsweredContext(context.id, 0, IMPLICIT) for context in asked.contexts)
        answer = AssociateAccept(accept, Negotiation(0, role_selections=asked.negotiation.role_selections))
        return self.handshake.upstream_data(answer.encode(asked))


def conversation(gated: Gated) -> tuple[Conversation, do.Relay]:
    """The two peers after the hand-over."""
    *_, relay = gated.established()
    assert isinstance(relay, do.Relay)
    return Conversation(relay.from_client, relay.from_upstream), relay


def message(context: int, command: bytes, data: bytes | None = None) -> bytes:
    pdus = raw.p_data(raw.pdv(context, command, 3))
    return pdus if data is None else pdus + raw.p_data(raw.pdv(context, data, 2))


def test_the_rights_are_those_of_who_was_admitted_and_settled_once() -> None:
    gated = Gated(VIEWER)
    radiology = frozenset({"radiology"})
    attributes = {"site": "north"}
    expected = ("clinical", "staff", "alice", radiology, attributes, "10.0.0.9", "WS_1", "ORTHANC", "pacs")
    gated.who.assert_called_once_with(Who(*expected))
    assert told(gated.decided, Decided)[0].rules == ("viewers",)
    gated.established()
    assert gated.who.call_count == 1


# decision: D38
@pytest.mark.parametrize(
    ("rights", "matching"),
    [
        (Rights(rules=("nobody", "else")), "nobody, else"),
        (Rights(), "none"),
    ],
)
def test_nothing_is_granted(rights: Rights, matching: str) -> None:
    gated = Gated(rights)
    assert to_client(gated.decided) == AssociateReject(1, 1, 1).encode()
    assert not any(isinstance(effect, do.Connect | do.ToUpstream) for effect in gated.decided)
    (refused,) = told(gated.decided, Refused)
    assert refused.reason_class is ReasonClass.NOT_GRANTED
    missing = 'allow = "echo"; allow = "find"; allow = "get"; allow = "move", destinations = "own"; allow = "store"'
    assert refused.reason == (
        f"no rule allows anything that the client asks for; matching rules: {matching}; it would take {missing}"
    )
    assert told(gated.decided, Decided), "the login itself was right"


# decision: D39, D40
def test_part_is_granted() -> None:
    gated = Gated(VIEWER)
    asked = gated.asked()
    assert [context.id for context in asked.contexts] == [1, 3, 5, 7, 9]
    assert asked.negotiation.role_selections == (RoleSelection(c.CT, 0, 1),)
    gated = Gated(VIEWER)
    effects = gated.established()
    answer = AssociateAccept.parse(to_client(effects))
    assert {context.id: context.result for context in answer.contexts} == {1: 0, 3: 0, 5: 0, 7: 0, 9: 0, 11: 1}
    assert answer.negotiation.role_selections == (RoleSelection(c.CT, 0, 1),)
    assert (told(effects, Established)[0].rejected, told(effects, Established)[0].withheld) == ((), ("store",))
    (denied,) = told(effects, Denied)
    assert denied[2:] == ("store", "presentation context", 'allow = "store"', True, ("viewers",))


def test_the_pacs_accepts_what_it_never_saw() -> None:
    gated = Gated(VIEWER)
    accepted = tuple(AnsweredContext(number, 0, IMPLICIT) for number in CONTEXTS)
    effects = _answered(gated, accepted)
    assert to_client(effects) == AssociateReject(2, 3, 1).encode()
    assert to_upstream(effects) == INVALID_PARAMETER.encode()
    (refused,) = told(effects, Refused)
    assert "accepts presentation context 11, which was never proposed" in refused.reason
    assert isinstance(_answered(Gated(EVERYTHING), accepted)[-1], do.Relay)


def _answered(gated: Gated, accepted: tuple[AnsweredContext, ...]) -> do.Effects:
    asked = gated.asked()
    return gated.handshake.upstream_data(AssociateAccept(accepted).encode(asked))


def test_without_rules_and_with_all_rights_nothing_is_read() -> None:
    plain, full = (Gated(rights) for rights in (None, EVERYTHING))
    assert to_client(plain.established()) == to_client(full.established())
    for gated in (Gated(None), Gated(EVERYTHING)):
        _, relay = conversation(gated)
        assert type(relay.from_client) is type(relay.from_upstream) is PdvStream
        assert relay.operations is None


REFUSALS = {
    "a move to another": (
        5,
        c.command_set(c.MOVE, c.MOVE_STUDIES, 7, b"WS_2"),
        ("move", "C-MOVE-RQ", 'allow = "move", destinations = "WS_2"'),
    ),
    "a store where it may only receive": (
        9,
        c.command_set(c.STORE, c.CT, 7),
        ("store", "C-STORE-RQ", 'allow = "store"'),
    ),
}


# decision: D41, D42
@pytest.mark.parametrize("name", REFUSALS)
def test_a_request_that_is_not_granted_is_answered_and_the_association_goes_on(name: str) -> None:
    context, command, denial = REFUSALS[name]
    gated = Gated(VIEWER)
    talk, relay = conversation(gated)
    find = message(3, c.command_set(c.FIND, c.FIND_STUDIES, 5), b"keys")
    answer = refused_response(CommandSet.parse(command), context, 100)
    for alternation in range(50):
        talk.send(CLIENT, find + message(context, command, b"data")[:-1])
        assert bytes(talk.received[CLIENT]) == answer * alternation, "no answer before the last fragment"
        talk.send(CLIENT, b"a" + find)
    assert talk.received == {UPSTREAM: find * 100, CLIENT: answer * 50}
    assert gated.denied == [denial]
    assert relay.operations is not None
    assert relay.operations.used == {"find": 100}
    assert list(relay.operations.denied.values()) == [50]


# decision: D43
@pytest.mark.parametrize(
    "bad",
    [
        message(1, c.command_set(c.FIND, c.FIND_STUDIES), b"keys"),
        message(9, c.command_set(c.STORE, c.WORKLIST), b"data"),
        message(3, c.command_set(c.FIND, c.FIND_STUDIES) + c.element(0x0110, c.us(8)), b"keys"),
        raw.p_data(*[raw.pdv(1, c.command_set(c.ECHO, c.VERIFICATION, number), 3) for number in (1, 2)]),
        raw.p_data(raw.pdv(1, bytes(40_000), 1)) * 2,
    ],
    ids=["a foreign command", "a foreign class", "an element twice", "two messages in a PDU", "more than 64 KiB"],
)
def test_what_a_pacs_might_read_differently_is_a_violation(bad: bytes) -> None:
    gated = Gated(VIEWER)
    talk, _ = conversation(gated)
    good = message(1, c.command_set(c.ECHO, c.VERIFICATION, 1))
    talk.send(CLIENT, good)
    effects = talk.send(CLIENT, bad)
    abort = INVALID_PARAMETER.encode()
    assert effects[:2] == [do.Abort(UPSTREAM, abort), do.Abort(CLIENT, abort)]
    assert bytes(talk.received[UPSTREAM]) == good, "and nothing of it has passed"


# decision: D44
@pytest.mark.parametrize("rights", [VIEWER, Rights()], ids=["some rights", "none"])
def test_where_rights_are_only_reported_everything_goes_on(rights: Rights) -> None:
    plain, reported = Gated(None), Gated(rights, enforce=False)
    assert reported.asked() == plain.asked()
    plain, reported = Gated(None), Gated(rights, enforce=False)
    effects = reported.established()
    assert to_client(effects) == to_client(plain.established())
    assert told(effects, Established)[0].withheld == ()
    services = ["store"] if rights is VIEWER else ["echo", "find", "get", "move", "store"]
    assert [(denied.service, denied.enforced) for denied in told(effects, Denied)] == [(it, False) for it in services]


def test_what_would_have_been_refused_is_told_and_counted() -> None:
    gated = Gated(VIEWER, enforce=False)
    talk, relay = conversation(gated)
    stream = message(1, c.command_set(c.ECHO, c.VERIFICATION, 1))
    stream += message(11, c.command_set(c.STORE, c.MR, 2), bytes(40)) * 2
    for size in (7, len(stream)):
        for start in range(0, len(stream), size):
            talk.send(CLIENT, stream[start : start + size])
    assert talk.received == {UPSTREAM: stream * 2, CLIENT: b""}
    assert gated.denied == [("store", "C-STORE-RQ", 'allow = "store"')]
    assert relay.operations is not None
    assert (relay.operations.used, relay.operations.denied) == ({"echo": 2}, {"store": 4})


def test_what_would_have_been_aborted_ends_the_observation_alone() -> None:
    command = c.command_set(c.ECHO, c.VERIFICATION)
    mixed = raw.p_data(raw.pdv(1, command[:-2], 1)) + raw.p_data(raw.pdv(1, command[-2:], 3), raw.pdv(1, b"ab", 1))
    for side in (CLIENT, UPSTREAM):
        gated = Gated(VIEWER, enforce=False)
        talk, _ = conversation(gated)
        for _ in range(2):
            assert talk.send(side, mixed) == []
        store = message(11, c.command_set(c.STORE, c.MR, 2), bytes(40))
        assert talk.send(CLIENT, store) == []
        assert bytes(talk.received[side.other]).startswith(mixed * 2)
        assert bytes(talk.received[UPSTREAM]).endswith(store)
        assert gated.denied == [("", "a P-DATA-TF with fragments of two messages", "")]


def test_a_flood_of_small_messages_is_observed_in_several_turns() -> None:
    gated = Gated(VIEWER, enforce=False)
    _, relay = conversation(gated)
    flood = message(1, c.command_set(c.ECHO, c.VERIFICATION, 1)) * 500
    stream, turns = relay.from_client, 1
    assert stream.walk(flood, len(flood), relay.from_upstream) == len(flood), "nothing waits for that"
    while stream.more:
        turns += 1
        assert stream.walk(b"", 0, relay.from_upstream) == 0
    assert relay.operations is not None
    assert relay.operations.used == {"echo": 500}
    assert turns >= 10


@pytest.mark.parametrize("enforce", [True, False])
def test_each_direction_keeps_to_the_maximum_length_of_its_receiver(enforce: bool) -> None:
    talk, _ = conversation(Gated(VIEWER, enforce))
    long = message(3, c.command_set(c.FIND | c.RSP, c.FIND_STUDIES, change={0x0800: c.us(1)}), bytes(200))
    assert talk.send(CLIENT, long) == []
    assert talk.send(UPSTREAM, long)[:1] == [do.Abort(CLIENT, INVALID_PARAMETER.encode())]
