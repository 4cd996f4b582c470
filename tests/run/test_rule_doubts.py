"""Rules that are allowed, but probably not meant; each doubt beside a configuration that raises none."""

from __future__ import annotations

from typing import Any

import pytest

from dicomgate.config.schema import Tables
from dicomgate.run.rule_doubts import doubts_of_rules

ASKED = {"clinical": {"staff", "devices"}, "remote": {"tokens"}}


def doubts(*rules: dict[str, Any], listeners: dict[str, str] | None = None) -> list[str]:
    """What is said of these rules, at two listeners and two upstreams; `listeners` are their `rules`."""
    tables = Tables.model_validate(
        {
            "listener": [
                {"name": name, "bind": f"127.0.0.1:{port}"} | ({"rules": (listeners or {})[name]} if listeners else {})
                for port, name in enumerate(ASKED, 104)
            ],
            "upstream": [
                {"name": "pacs", "address": "pacs:104", "called_ae_titles": ["PACS", "*"]},
                {"name": "archive", "address": "archive:104", "called_ae_titles": ["ARCHIVE", "OLD"]},
            ],
            "authenticator": [{"use": name} for name in ("staff", "devices", "tokens", "idle")],
            "rule": [{"name": f"r{number}", "allow": "echo"} | rule for number, rule in enumerate(rules)],
        }
    )
    return list(doubts_of_rules(tables, ASKED))


REST: dict[str, Any] = {"allow": "worklist"}
"""So that at every listener somebody may do something."""


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"authenticators": "tokens"}, ""),
        ({"authenticators": "idle"}, "none of its listeners asks one of its authenticators"),
        ({"authenticators": ["idle", "staff"], "listeners": "clinical"}, ""),
        ({"authenticators": ["staff"], "listeners": "remote"}, "none of its listeners asks one of its authenticators"),
        ({"called_ae_titles": "PACS", "upstreams": "pacs"}, ""),
        ({"called_ae_titles": "PACS", "upstreams": "archive"}, "none of its called_ae_titles goes to its upstreams"),
        ({"called_ae_titles": ["PACS", "O*"], "upstreams": "archive"}, ""),
        ({"called_ae_titles": "ARCHIVE", "upstreams": "pacs"}, "none of its called_ae_titles goes to its upstreams"),
        ({"called_ae_titles": "ANY", "upstreams": "pacs"}, ""),
        ({"called_ae_titles": ["ARCHIVE", "AR*"], "upstreams": "pacs"}, ""),
    ],
)
def test_a_rule_that_never_matches(rule: dict[str, Any], why: str) -> None:
    said = doubts(REST, rule)
    assert said == ([f"rule r1: never matches: {why}"] if why else [])


WARD: dict[str, Any] = {
    "allow": ["echo", "move"], "destinations": ["WS_*"], "authenticators": ["staff", "devices"],
    "groups": ["ward", "night"], "networks": ["10.1.0.0/16"], "calling_ae_titles": ["WS_*", "X"],
    "attributes": {"role": ["nurse", "doctor"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "useless"),
    [
        ({"allow": "move"}, "changed"),
        ({"allow": ["echo", "hanging-protocol"], "destinations": None}, "neither"),
        ({"allow": ["move", "find"]}, "neither"),
        ({"allow": "echo", "destinations": None}, "changed"),
        ({"destinations": ["WS_1*", "WS_3"]}, "changed"),
        ({"destinations": ["WS_3", "own"]}, "neither"),
        ({"destinations": ["*"]}, "ward"),
        ({"authenticators": ["staff"], "users": ["alice"]}, "changed"),
        ({"authenticators": ["staff", "tokens"]}, "neither"),
        ({"groups": ["ward"]}, "changed"),
        ({"groups": None}, "ward"),
        ({"networks": ["10.1.2.0/24", "10.1.3.7"]}, "changed"),
        ({"networks": ["10.1.2.0/24", "10.2.0.0/16", "fd00::/8"]}, "neither"),
        ({"calling_ae_titles": ["WS_9*"]}, "changed"),
        ({"calling_ae_titles": ["WS*"]}, "neither"),
        ({"attributes": {"role": "nurse", "site": "a"}}, "changed"),
        ({"attributes": {"role": "porter"}}, "neither"),
        ({"attributes": {"site": "a"}}, "neither"),
        ({"upstreams": "pacs", "listeners": "clinical"}, "changed"),
        ({"allow": "*", "destinations": None}, "ward"),
    ],
)
def test_a_rule_that_adds_nothing(change: dict[str, Any], useless: str) -> None:
    changed = {key: value for key, value in (WARD | change).items() if value is not None}
    assert doubts(REST, WARD, changed) == _adds_nothing({"changed": (2, 1), "ward": (1, 2)}.get(useless))
    assert doubts(REST, changed, WARD) == _adds_nothing({"changed": (1, 2), "ward": (2, 1)}.get(useless))


def test_of_two_rules_that_are_the_same_the_second_adds_nothing() -> None:
    assert doubts(REST, WARD, WARD) == _adds_nothing((2, 1))


def test_what_a_rule_for_everything_includes() -> None:
    everything = {"allow": "*", "groups": ["it"], "authenticators": "staff"}
    other = {"allow": ["move", "1.2.3"], "destinations": "*", "groups": ["it"], "authenticators": "staff"}
    assert doubts(REST, everything, other) == _adds_nothing((2, 1))
    assert doubts(REST, everything, other | {"groups": ["ct"]}) == []


def _adds_nothing(numbers: tuple[int, int] | None) -> list[str]:
    if numbers is None:
        return []
    useless, other = numbers
    return [f"rule r{useless}: adds nothing: rule r{other} allows all of it to the same clients or more"]


OWN = {"allow": "move", "destinations": ["own"]}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (OWN, 'destinations = "own" without calling_ae_titles: a client chooses'),
        (OWN | {"calling_ae_titles": ["A", "**"]}, 'destinations = "own" without calling_ae_titles: a client chooses'),
        (OWN | {"calling_ae_titles": ["A", "WS_*"]}, ""),
        (OWN | {"destinations": "TEACHING"}, ""),
        (OWN | {"destinations": "OWN"}, "destinations: 'OWN' is an AE title; the client's own is written 'own'"),
        ({"groups": ["ward-*"], "authenticators": "staff"}, "groups: 'ward-*' is taken letter by letter: only in AE"),
        ({"users": ["alice", "b*"], "authenticators": "staff"}, "users: 'b*' is taken letter by letter"),
        (
            {"allow": "1.2.840.10008.5.1.4.1.1.999"},
            "1.2.840.10008.5.1.4.1.1.999 is no SOP class of DICOM that is known",
        ),
        ({"allow": ["1.2.840.10008.5.1.4.1.1.2", "1.2.3"]}, ""),
    ],
)
def test_what_was_probably_not_meant(rule: dict[str, Any], said: str) -> None:
    found = doubts(REST, rule)
    assert len(found) == bool(said)
    assert all(line.startswith(f"rule r1: {said}") for line in found)


def test_a_listener_where_nobody_may_do_anything() -> None:
    nobody = "listener remote: nobody may do anything here: no rule can match"
    assert doubts({"listeners": "clinical"}) == [nobody]
    assert doubts({"authenticators": ["staff"]}) == [nobody]
    assert doubts({"authenticators": ["tokens"], "listeners": "clinical"})[:2] == [
        nobody.replace("remote", "clinical"), nobody,
    ]  # fmt: skip
    assert doubts({}) == []


def test_a_listener_that_only_reports_says_so() -> None:
    only = 'listener remote: rules = "report": what no rule allows is only recorded, and not refused'
    assert doubts({"listeners": "clinical"}, listeners={"clinical": "enforce", "remote": "report"}) == [only]
    assert doubts({}, listeners={"clinical": "enforce", "remote": "enforce"}) == []
