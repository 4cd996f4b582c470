"""The suggested rules let through what was done, and nothing that nobody of the same group, user or device did."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomgate.cli.suggestion import in_toml
from dicomgate.rights.rights import Rights, rights_of
from dicomgate.rights.rule import OWN, Rule, Who
from dicomgate.rights.services import SERVICES
from dicomgate.rights.suggest import suggested
from dicomgate.rights.table import RuleTable
from dicomgate.rights.work import Client, Done, Use, Work

PRIVATE = "1.2.840.113619.4.27"
WORDS = ("echo", "store", "find", "get", "worklist", PRIVATE)
TITLES = ("WS_1", "WS 2", "CT1")


def rules_of(tables: list[dict[str, Any]]) -> list[Rule]:
    """The rules that the gateway makes of these tables of a configuration."""
    return [RuleTable.model_validate(table).rule for table in tables]


def tables_of(work: dict[Client, Done]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(text_of(work)).get("rule", [])
    return found


def who(client: Client, calling: str) -> Who:
    address = client.network.partition("/")[0] or "203.0.113.9"
    title = client.calling_ae_title or calling
    user = client.user or "device"
    return Who("any", client.authenticator, user, client.groups, {}, address, title, "PACS", client.upstream)


def granted(rights: Rights, use: Use) -> bool:
    classes = [use.service.encode()] if use.service == PRIVATE else list(SERVICES[use.service].classes)
    may = [rights.may_move(one, use.destination) if use.destination else rights.grants(one) for one in classes]
    assert len(set(may)) == 1
    return may[0]


def calling(use: Use) -> str:
    return use.destination if use.own else "SOMEWHERE"


@st.composite
def works(draw: st.DrawFn) -> dict[Client, Done]:
    """A hospital: users of several groups, users of none, and devices, at two PACS."""
    moves = st.tuples(st.just("move"), st.sampled_from(TITLES), st.booleans())
    services = st.tuples(st.sampled_from(WORDS))
    uses = st.sets(st.one_of(services, moves).map(lambda parts: Use(*parts)), max_size=5)
    authenticator, upstream = st.sampled_from(["staff", "guests"]), st.sampled_from(["pacs", "archive"])
    groups = st.frozensets(st.sampled_from(["all", "ct", "mr", "radiology", 'the "chief"']), max_size=3)
    networks = st.sampled_from(["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/64"])
    no_groups: st.SearchStrategy[frozenset[str]] = st.just(frozenset())
    title = st.sampled_from(["CT1", "CT2", "MR 1"])
    groups_of = {(who, where): draw(groups) for who in "abcdef" for where in ("staff", "guests")}
    people = st.tuples(authenticator, upstream, st.sampled_from("abcdef")).map(
        lambda parts: (*parts, groups_of[parts[2], parts[0]])
    )
    devices = st.tuples(st.just("devices"), upstream, st.just(""), no_groups, title, networks)
    clients_of = st.one_of(people, devices).map(lambda parts: Client(*parts))
    clients = draw(st.lists(clients_of, min_size=1, max_size=12, unique=True))
    return {client: Done(1, 0, {as_seen(use, client) for use in draw(uses)}, set()) for client in clients}


def as_seen(use: Use, client: Client) -> Use:
    """A device moves to its own AE title, or does not."""
    title = client.calling_ae_title
    return use._replace(own=use.destination == title) if title and use.destination else use


def text_of(work: dict[Client, Done]) -> str:
    return in_toml(Work(dict(work), associations=len(work)), suggested(work))


@settings(deadline=None)
@given(works())
def test_every_use_is_granted(work: dict[Client, Done]) -> None:
    assert lets_through(tables_of(work), work)


def akin(one: Client, other: Client) -> bool:
    """Of the same group, or the same user or device, at the same PACS."""
    if (one.authenticator, one.upstream) != (other.authenticator, other.upstream):
        return False
    return one == other if not one.groups else not one.groups.isdisjoint(other.groups)


@settings(deadline=None)
@given(works())
def test_nobody_is_granted_what_nobody_of_the_same_group_user_or_device_did(work: dict[Client, Done]) -> None:
    rules = rules_of(tables_of(work))
    for client in work:
        did = {use for other, done in work.items() if akin(client, other) for use in done.used}
        others, own = ({use.destination for use in did if use.destination and use.own is one} for one in (False, True))
        for title in {client.calling_ae_title} if client.calling_ae_title else {"WS_1", "SOMEWHERE"}:
            rights = rights_of(rules, who(client, title))
            for word in WORDS:
                assert granted(rights, Use(word)) <= (Use(word) in did), (word, rules)
            for destination in {*TITLES, "SOMEWHERE"}:
                might = destination in others or (destination in own and destination == title)
                assert granted(rights, Use("move", destination)) <= might, (destination, rules)


@settings(deadline=None)
@given(works())
def test_nothing_can_be_taken_away(work: dict[Client, Done]) -> None:
    """Without any rule, any service of one, any group, user, or AE title of one, somebody's work is refused."""
    tables = tables_of(work)
    for index, table in enumerate(tables):
        if table.get("destinations") == OWN and "calling_ae_titles" in table:
            continue  # a move that another rule may also allow
        for key in ("allow", "groups", "users", "calling_ae_titles", "networks", "authenticators", "upstreams"):
            for value in table.get(key, ()):
                fewer = {**table, key: [one for one in table[key] if one != value]}
                left = [*tables[:index], *([fewer] if fewer[key] else []), *tables[index + 1 :]]
                assert not lets_through(without_pointless_destinations(left), work), (key, value, tables)


def lets_through(tables: list[dict[str, Any]], work: dict[Client, Done]) -> bool:
    rules = rules_of(tables)
    return all(
        granted(rights_of(rules, who(client, calling(use))), use) for client, done in work.items() for use in done.used
    )


def without_pointless_destinations(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A rule that no longer has a move may not have them either."""
    return [
        {key: value for key, value in table.items() if key != "destinations" or "move" in table["allow"]}
        for table in tables
    ]


@settings(deadline=None)
@given(works(), st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(work: dict[Client, Done], chance: Any) -> None:
    shuffled = list(work.items())
    chance.shuffle(shuffled)
    assert text_of(dict(shuffled)) == text_of(work)


def person(name: str, *groups: str) -> Client:
    return Client("staff", "pacs", name, frozenset(groups))


def done(*services: str, **more: Any) -> Done:
    return Done(1, 0, {Use(service) for service in services}, **more)


def test_people_are_granted_as_a_person_would() -> None:
    work = {
        person("ann", "all", "radiology"): done("echo", "find", "get"),
        person("bob", "all", "radiology"): done("echo", "find"),
        person("cid", "all", "radiology"): done("echo", "find", "store"),
        person("dan", "all", "mta"): done("echo", "store"),
        person("eve", "all", "mta"): done("echo", "store", "worklist"),
        person("fay"): done("find"),
        person("gus"): done("find"),
    }
    found = [(one.key, one.names, one.allow, dict(one.rarely)) for one in suggested(work)]
    assert found == [
        ("groups", ("all",), ("echo",), {}),
        ("groups", ("mta",), ("store", "worklist"), {}),
        ("groups", ("radiology",), ("find", "get", "store"), {"get": 1, "store": 1}),
        ("users", ("fay", "gus"), ("find",), {}),
    ]


def test_own_destinations_and_those_of_others() -> None:
    own, other, find = Use("move", "WS_1", own=True), Use("move", "TEACHING"), Use("find")
    device = Client("devices", "pacs", calling_ae_title="WS_1", network="192.0.2.0/24")
    for client, uses, rules in (
        (person("ann"), {find, own}, [((), ("find",), ()), (("WS_1",), ("move",), (OWN,))]),
        (person("ann"), {find, other}, [((), ("find", "move"), ("TEACHING",))]),
        (person("ann"), {find, own, other}, [((), ("find", "move"), ("TEACHING",)), (("WS_1",), ("move",), (OWN,))]),
        (person("ann"), {own, Use("move", "*")}, [((), ("move",), ("*",))]),
        (device, {find, own, other}, [((), ("find", "move"), ("TEACHING", OWN))]),
    ):
        found = suggested({client: Done(1, 0, uses, set())})
        assert [(one.titles, one.allow, one.destinations) for one in found] == rules


def test_what_a_person_should_know(capsys: pytest.CaptureFixture[str]) -> None:
    work = Work(
        {
            person("ann", "readers"): Done(1_500, 0, {Use("find"), Use("get")}, {"find", "get", "store", "move"}),
            person("bob", "readers"): Done(1, 1, {Use("find"), Use("move", "*")}, set()),
            person("cid", "readers"): done("find", accepted={"find", "echo"}),
        },
        associations=1_502,
    )
    work.left_out["associations with a name that is cut"] = 3
    assert (
        in_toml(work, suggested(work.clients))
        == """\
# The work of 1,502 associations, from ? to ?.
# Read each rule and make it wider or narrower, before you put it into the configuration.
# Left out: associations with a name that is cut: 3

# 1,502 associations of 3 users
# used by few of these 3 users: get (1), move (1)
# accepted by the PACS, never used: echo
# of 1 association only what was accepted is known, not what was used
# storage is taken for a part of get: add store if they also send
# the destinations are not known: write them in place of *
[[rule]]
name = "readers"
authenticators = ["staff"]
groups = ["readers"]
allow = ["find", "get", "move"]
destinations = ["*"]"""
    )


def test_long_lists_and_names_of_rules() -> None:
    devices = {
        Client("devices", "pacs", calling_ae_title=f"MODALITY {number}", network="192.0.2.0/24"): done("store")
        for number in range(20)
    }
    assert max(map(len, text_of(devices).splitlines())) < 120
    assert len(rules_of(tables_of(devices))[0].calling_ae_titles or ()) == 20
    groups = {
        person("ann", "CN=Ärzte,OU=x"): done("echo"),
        person("bob", "CN Ä"): done("find"),
        person("c", "é"): done("get"),
    }
    assert [one.name for one in suggested(groups)] == ["CN", "CN-rzte-OU-x", "rule"]
