"""The operator's order, against a reference model: every combination of three links."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from dicomgate import Accept, Attempt, Authenticator, Decision, IdentityType, Pass, Reject, Unavailable
from dicomgate.auth.chain import Chain, Verdict
from dicomgate.auth.link import Link
from dicomgate.testing import attempt, jwt, kerberos, passcode, saml, username

pytestmark = pytest.mark.anyio
ALICE = attempt(passcode("alice", "pw"), id="a-17")
YES, NO, MINE_NOT, DOWN = Accept("alice"), Reject("wrong"), Pass("not mine"), Unavailable("down")


class Says:
    """Answers always the same, and counts how often it was asked."""

    def __init__(self, decision: Any) -> None:
        self.decision = decision
        self.asked = 0

    async def authenticate(self, attempt: Attempt) -> Decision:
        self.asked += 1
        decision: Decision = self.decision
        return decision


def reference(links: list[tuple[str, Decision, bool]]) -> tuple[str, str, int]:
    """Design, in the words of the decision table: (kind of decision, by whom, how many were asked)."""
    unavailable = [name for name, decision, _ in links if decision is DOWN]
    for count, (name, decision, goes_on) in enumerate(links, 1):
        failed_before = [it for it in unavailable if it in [earlier for earlier, _, _ in links[: count - 1]]]
        if decision is YES:
            return "Accept", name, count
        if decision is NO:
            return ("Unavailable", failed_before[0], count) if failed_before else ("Reject", name, count)
        if decision is DOWN and not goes_on:
            return "Unavailable", (failed_before or [name])[0], count
    return ("Unavailable", unavailable[0], len(links)) if unavailable else ("Pass", "", len(links))


def combinations() -> Iterator[list[tuple[str, Decision, bool]]]:
    answers: tuple[Decision, ...] = (YES, NO, MINE_NOT, DOWN)
    for size in range(4):
        for decisions in product(answers, repeat=size):
            for flags in product((False, True), repeat=size):
                yield [(f"link{index}", *it) for index, it in enumerate(zip(decisions, flags, strict=True))]


async def test_every_combination_of_three_links_is_as_the_model_says() -> None:
    count = 0
    for links in combinations():
        said = [Says(decision) for _, decision, _ in links]
        made = zip(links, said, strict=True)
        chain = Chain([Link(name, it, next_on_error=goes_on) for (name, _, goes_on), it in made])
        verdict = await chain.consult(ALICE)
        kind, by, asked = reference(links)
        assert (type(verdict.decision).__name__, verdict.authenticator) == (kind, by), links
        assert verdict.answers == tuple((name, decision) for name, decision, _ in links[:asked]), links
        assert [it.asked for it in said] == [1] * asked + [0] * (len(links) - asked), links
        if kind != "Pass":
            assert (by, verdict.decision) in verdict.answers, "the words are those of the link that is named"
        count += 1
    assert count == 1 + 8 + 64 + 512


@pytest.mark.parametrize("faulty", [None, True, "yes", 1])
async def test_a_faulty_link_counts_as_one_that_could_not_look(faulty: object) -> None:
    last = Says(YES)
    stops = await Chain([Link("broken", Says(faulty)), Link("last", last)]).consult(ALICE)
    assert isinstance(stops.decision, Unavailable)
    assert (stops.authenticator, last.asked) == ("broken", 0)
    goes_on = Chain([Link("broken", Says(faulty), next_on_error=True), Link("last", last)])
    assert await goes_on.authenticate(ALICE) is YES


async def test_a_link_that_could_not_look_is_logged_when_the_next_one_accepts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dicomgate")
    evil = Unavailable("für\n\x1b[2J\u202eniemand")
    chain = Chain([Link("directory", Says(evil), next_on_error=True), Link("file", Says(YES))])
    assert await chain.authenticate(ALICE) is YES
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("dicomgate")]
    assert line == r"a-17: authenticator directory is unavailable: für\n\x1b[2J\u202eniemand"


# decision: D13
@pytest.mark.parametrize("positive_response_requested", [False, True])
async def test_an_empty_passcode_is_shown_to_nobody(positive_response_requested: bool) -> None:
    kind = {"positive_response_requested": positive_response_requested}
    says = Says(YES)
    chain = Chain([Link("directory", says)])
    verdict = await chain.consult(attempt(passcode("alice", "", **kind)))
    assert verdict == Verdict(Reject("the passcode is empty"), "", ())
    assert says.asked == 0
    for shown in (passcode("alice", " ", **kind), username("alice", **kind), jwt("e30", **kind), None):
        assert await chain.authenticate(attempt(shown)) is YES, "the others have no passcode that could be empty"
    assert says.asked == 4


async def test_a_link_sees_only_what_it_handles() -> None:
    class Choosy(Says):
        def __init__(self, decision: Decision, *handles: IdentityType | None) -> None:
            super().__init__(decision)
            self.handles = handles

    tokens, nobody = Choosy(YES, IdentityType.JWT, IdentityType.SAML), Choosy(NO, None)
    chain = Chain([Link("tokens", tokens), Link("nobody", nobody)])
    for identity, by in ((jwt("e30"), "tokens"), (saml("<a/>"), "tokens"), (None, "nobody")):
        verdict = await chain.consult(attempt(identity))
        assert (verdict.authenticator, [name for name, _ in verdict.answers]) == (by, [by])
    for identity, what in (
        (
            username("alice"),
            "an identity of type 1 (USERNAME), which has no passcode (storescu -usr without -pwd sends it)",
        ),
        (passcode("alice", "pw"), "an identity of type 2 (USERNAME_AND_PASSCODE)"),
        (kerberos(b"n"), "an identity of type 3 (KERBEROS)"),
    ):
        assert await chain.consult(attempt(identity)) == Verdict(Pass(f"no authenticator claims {what}"))
    assert (tokens.asked, nobody.asked) == (2, 1)
    assert await Chain([]).consult(attempt()) == Verdict(Pass("no authenticator claims an attempt without identity"))


async def test_a_chain_is_an_authenticator_itself() -> None:
    inner: Authenticator = Chain([Link("a", Says(MINE_NOT)), Link("b", Says(YES))])
    verdict = await Chain([Link("outer", inner)]).consult(ALICE)
    assert (verdict.decision, verdict.authenticator) == (YES, "outer")


async def test_a_chain_enters_all_or_none_and_leaves_in_reverse() -> None:
    life: list[str] = []

    class Lives(Says):
        def __init__(self, name: str, fails: bool = False) -> None:
            super().__init__(YES)
            self.name, self.fails = name, fails

        async def __aenter__(self) -> None:
            life.append(f"enter {self.name}")
            if self.fails:
                raise ConnectionRefusedError

        async def __aexit__(self, *_: object) -> None:
            life.append(f"leave {self.name}")

    async def live(*links: Lives) -> None:
        async with Chain([Link(it.name, it) for it in links]):
            life.append("open")

    await live(Lives("a"), Lives("b"))
    assert life == ["enter a", "enter b", "open", "leave b", "leave a"]
    life.clear()
    with pytest.raises(Exception, match="authenticator b"):
        await live(Lives("a"), Lives("b", fails=True), Lives("c"))
    assert life == ["enter a", "enter b", "leave a"]
