"""The rows of the decision table that are admission's business (docs/decisions.md)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicomgate import Accept, Attempt, Decision, Identity, IdentityType, Once, Pass, Peer, Reject, Unavailable
from dicomgate.association.admission import Admit, Policy, Refuse, before_asking, facts_of, settle
from dicomgate.association.route import Route
from dicomgate.auth.chain import Verdict
from dicomgate.events.events import Facts
from dicomgate.kit.text import claimed_name
from dicomgate.wire.reject_abort import REFUSED_IDENTITY, TRY_LATER
from dicomgate.wire.user_identity import encode_server_response

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STRICT = Policy("clinical")
REJECTED, TRANSIENT = bytes.fromhex("03000000000400010201"), bytes.fromhex("03000000000400020201")


def identity(kind: int = 2, requested: bool = False) -> Identity:
    return Identity(IdentityType(kind), b"alice", b"pw" if kind == 2 else b"", requested)


def judged(decision: Decision, who: Identity | None = None, by: str = "staff") -> Admit | Refuse:
    attempt = Attempt("a1", who, "CT1", "PACS", Peer("192.0.2.1", 1), "clinical", (), NOW)
    record, outcome = settle(attempt, facts_of(attempt), Verdict(decision, by), NOW)
    user = decision.user if isinstance(decision, Accept) else None
    kind, claimed = (who.type.value, who.username) if who else (None, None)
    assert record.facts == Facts("a1", "clinical", "192.0.2.1", 1, "CT1", "PACS", kind, claimed, user, by)
    assert record.time == NOW
    assert record.reason == ("" if isinstance(decision, Accept) else decision.reason)
    return outcome


# -- before asking ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", IdentityType)
def test_a_passcode_in_the_clear_is_refused_and_nothing_else_is(kind: IdentityType) -> None:
    refuse = before_asking(identity(kind), Policy("plain", passcodes_allowed=False))
    assert (refuse is not None) == (kind is IdentityType.USERNAME_AND_PASSCODE)
    if refuse is not None:
        assert refuse.refusal.encode() == REJECTED
        assert "cleartext_passcodes" in refuse.reason
    assert before_asking(identity(kind), STRICT) is None
    assert before_asking(identity(kind), Policy("plain", passcodes_allowed=False), secured=True) is None


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "pdu"),
    [
        (Reject("wrong passcode"), REJECTED),
        (Pass("nobody claims it"), REJECTED),
        (Unavailable("the directory is down"), TRANSIENT),
    ],
)
@pytest.mark.parametrize(
    "who", [None, *(identity(kind, requested) for kind in range(1, 6) for requested in (False, True))]
)
def test_whoever_it_is_the_answer_depends_on_the_decision_alone(
    decision: Decision, pdu: bytes, who: Identity | None
) -> None:
    refuse = judged(decision, who)
    assert isinstance(refuse, Refuse)
    assert refuse.refusal.encode() == pdu
    assert refuse.reason == f"staff: {decision.reason}"  # type: ignore[union-attr]
    alone = judged(decision, who, by="")
    assert isinstance(alone, Refuse)
    assert alone.reason == decision.reason  # type: ignore[union-attr]


@pytest.mark.parametrize(("ends", "admitted"), [(-SECOND, False), (SECOND * 0, False), (SECOND, True), (None, True)])
def test_an_expired_credential_is_not_admitted(ends: timedelta | None, admitted: bool) -> None:
    outcome = judged(Accept("alice", expires_at=None if ends is None else NOW + ends), identity(5))
    assert isinstance(outcome, Admit) == admitted
    if isinstance(outcome, Refuse):
        assert outcome.refusal is REFUSED_IDENTITY
        assert outcome.reason.startswith("staff: the credential ended at 2026-01-0")


def test_a_credential_for_one_use_needs_a_replay_cache() -> None:
    outcome = judged(Accept("alice", once=Once("jti", NOW + SECOND)), identity(5))
    assert isinstance(outcome, Refuse)
    assert outcome.refusal is TRY_LATER
    assert outcome.refusal.encode() == TRANSIENT
    assert "jti" not in outcome.reason
    expired = judged(Accept("alice", expires_at=NOW, once=Once("jti", NOW)), identity(5))
    assert isinstance(expired, Refuse)
    assert expired.refusal is REFUSED_IDENTITY, "expired is wrong for certain; that comes first"


# -- what the client is told -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [None, *map(identity, IdentityType)])
@pytest.mark.parametrize("response", [None, b"", b"token"])
def test_no_response_where_none_was_requested(who: Identity | None, response: bytes | None) -> None:
    admitted = judged(Accept("alice", server_response=response), who)
    assert admitted == Admit(Accept("alice", server_response=response), "staff", None)


# decision: D1, D2, D3
@pytest.mark.parametrize(
    ("kind", "response", "item"),
    [
        (1, None, "590000020000"), (1, b"token", "590000020000"),
        (2, None, "590000020000"), (2, b"token", "590000020000"),
        (3, None, "590000020000"), (3, b"", "590000020000"), (3, b"AP-REP", "59000008000641502d524550"),
        (4, None, "590000020000"), (4, b"<R/>", "5900000600043c522f3e"),
        (5, None, "590000020000"), (5, b"token", "590000070005746f6b656e"),
    ],
)  # fmt: skip
def test_the_response_item_of_each_identity_type(kind: int, response: bytes | None, item: str) -> None:
    """PS3.7 D.3.3.7.2: of zero length for types 1 and 2, whatever the authenticator returned."""
    admitted = judged(Accept("alice", server_response=response), identity(kind, requested=True))
    assert isinstance(admitted, Admit)
    assert admitted.server_response is not None
    assert encode_server_response(admitted.server_response).hex() == item


# -- routes -----------------------------------------------------------------------------------------------------------


def test_a_called_ae_title_has_its_route_or_that_of_the_rest() -> None:
    one, rest = Route("one"), Route("rest")
    assert Policy("l", routes={"ONE": one}).route("ONE") is one
    assert Policy("l", routes={"ONE": one}).route("one") is None, "AE titles are compared exactly"
    assert Policy("l", routes={"ONE": one}).route("*") is None
    both = Policy("l", routes={"ONE": one, "*": rest})
    assert (both.route("ONE"), both.route("TWO"), both.route("*")) == (one, rest, rest)
    assert STRICT.route("ONE") is None


@pytest.mark.parametrize("decision", [Reject("unknown user {}"), Pass("{}: nobody"), Unavailable("{} hangs")])
def test_a_token_in_the_place_of_a_name_is_not_recorded(decision: Reject | Pass | Unavailable) -> None:
    for name, shown in ("alice", "alice"), ("Bearer 123", claimed_name("Bearer 123")):
        who = Identity(IdentityType.USERNAME_AND_PASSCODE, name.encode(), b"pw")
        attempt = Attempt("a1", who, "CT1", "PACS", Peer("192.0.2.1", 1), "clinical", (), NOW)
        told = replace(decision, reason=decision.reason.format(name))
        record, refuse = settle(attempt, facts_of(attempt), Verdict(told, "staff"), NOW)
        assert isinstance(refuse, Refuse)
        assert record.facts.claimed == shown
        assert record.reason == decision.reason.format(shown)
        assert refuse.reason == f"staff: {record.reason}"
