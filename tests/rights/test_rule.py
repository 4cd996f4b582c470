"""Whom a rule concerns, and what the rules that match allow together."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from dicomgate.rights.rights import Rights, rights_of
from dicomgate.rights.rule import OWN, Rule, Who, is_one_of
from dicomgate.rights.services import SERVICES

WHO = Who(
    "clinical", "staff", "alice", frozenset({"radiology", "night"}), {"department": "mri"},
    "10.1.2.7", "WS_1", "PACS", "archive",
)  # fmt: skip
FIND, MOVE, STORE = (frozenset(SERVICES[word].classes) for word in ("find", "move", "store"))
(FIND_STUDIES, *_), (MOVE_STUDIES, *_), (CT, *_) = sorted(FIND), sorted(MOVE), sorted(STORE)
RIGHT: dict[str, Any] = {
    "listeners": frozenset({"clinical", "other"}),
    "authenticators": frozenset({"staff"}),
    "users": frozenset({"bob", "alice"}),
    "groups": frozenset({"radiology", "surgery"}),
    "attributes": {"department": frozenset({"ct", "mri"})},
    "networks": (ip_network("10.1.2.0/24"), ip_network("fd00::/8")),
    "calling_ae_titles": ("XX", "WS_*"),
    "called_ae_titles": ("PACS",),
    "upstreams": frozenset({"archive"}),
}
WRONG: dict[str, Any] = {
    "listeners": frozenset({"Clinical"}),
    "authenticators": frozenset({"devices"}),
    "users": frozenset({"Alice"}),
    "groups": frozenset({"radio", "Radiology"}),
    "attributes": {"department": frozenset({"mri"}), "role": frozenset({"nurse"})},
    "networks": (ip_network("10.1.3.0/24"), ip_network("fd00::/8")),
    "calling_ae_titles": ("WS_", "S_*"),
    "called_ae_titles": ("pacs",),
    "upstreams": frozenset({"pacs"}),
}


@pytest.mark.parametrize("key", RIGHT)
def test_a_rule_is_for_those_who_meet_all_of_its_conditions(key: str) -> None:
    assert Rule("all", **RIGHT).miss(WHO) == ""
    assert Rule("all but one", **{**RIGHT, key: WRONG[key]}).miss(WHO) == key
    assert Rule("one", **{key: WRONG[key]}).miss(WHO) == key


@pytest.mark.parametrize(
    ("address", "missed"), [("::ffff:10.1.2.9", ""), ("fd00::1", ""), ("10.1.3.1", "networks"), ("", "networks")]
)
def test_an_address_is_compared_as_what_it_is(address: str, missed: str) -> None:
    assert Rule("r", networks=RIGHT["networks"]).miss(WHO._replace(address=address)) == missed


@pytest.mark.parametrize(
    ("title", "patterns", "fits"),
    [
        ("WS_1", ("WS_*",), True),
        ("WS_", ("WS_*",), True),
        ("xWS_1", ("WS_*",), False),
        ("ws_1", ("WS_*",), False),
        ("A.1", ("A.1",), True),
        ("AX1", ("A.1",), False),
        ("WS_1", ("X", "*_1"), True),
        ("WS_1|X", ("WS_1", "X"), False),
        ("", (), False),
        ("", ("*",), True),
    ],
)
def test_only_an_asterisk_stands_for_others(title: str, patterns: tuple[str, ...], fits: bool) -> None:
    assert is_one_of(title, patterns) == fits


def test_rights_are_the_sum_of_the_rules_that_match() -> None:
    rules = [
        Rule("finders", FIND, groups=frozenset({"night"})),
        Rule("movers", MOVE, destinations=("TEACHING",)),
        Rule("others", STORE, users=frozenset({"bob"})),
    ]
    alice, bob = rights_of(rules, WHO), rights_of(rules, WHO._replace(user="bob", groups=frozenset()))
    assert (alice.rules, bob.rules) == (("finders", "movers"), ("movers", "others"))
    assert [alice.grants(uid) for uid in (FIND_STUDIES, MOVE_STUDIES, CT)] == [True, True, False]
    assert [bob.grants(uid) for uid in (FIND_STUDIES, MOVE_STUDIES, CT)] == [False, True, True]
    assert alice == rights_of(rules, WHO)
    assert rights_of([], WHO) == Rights()
    everything = rights_of([*rules, Rule("all", everything=True)], WHO)
    assert everything.everything
    assert everything.grants(b"1.2.3")


@pytest.mark.parametrize(
    ("destinations", "to", "may"),
    [
        ((), "ANYWHERE", False),
        (("*",), "ANYWHERE", True),
        ((OWN,), "WS_1", True),
        ((OWN,), "WS_2", False),
        ((OWN,), "own", False),
        ((OWN,), "", False),
        ((OWN, "TEACH*"), "TEACHING", True),
        (("TEACH*",), "WS_1", False),
    ],
)
def test_where_a_move_may_go(destinations: tuple[str, ...], to: str, may: bool) -> None:
    rules = [Rule("movers", MOVE, destinations=destinations), Rule("finders", FIND)]
    assert rights_of(rules, WHO).may_move(MOVE_STUDIES, to) == may


def test_destinations_are_those_of_the_rule_that_grants_the_service() -> None:
    templates = frozenset(SERVICES["implant-template"].classes)
    rules = [Rule("studies", MOVE, destinations=(OWN,)), Rule("templates", templates, destinations=("*",))]
    rights = rights_of(rules, WHO)
    assert not rights.may_move(MOVE_STUDIES, "X")
    assert rights.may_move(b"1.2.840.10008.5.1.4.43.3", "X")


def test_an_asterisk_in_a_clients_own_title_stands_for_itself() -> None:
    """Each client chooses its calling AE title, and PS3.5 allows any printable character in it."""
    rights = rights_of([Rule("movers", MOVE, destinations=(OWN,))], WHO._replace(calling_ae_title="*"))
    assert rights.may_move(MOVE_STUDIES, "*")
    assert not rights.may_move(MOVE_STUDIES, "ANYWHERE")
