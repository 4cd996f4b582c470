"""docs/ldap.md is right: its configurations log people in, its keys and its reasons are those of the code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args, get_type_hints

import pytest

import dicomgate_ldap
from dicomgate import Accept, Reject
from dicomgate.kit import equal_time, failover
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.pages import DOCS, ROOT, configurations, rows, section, text
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.peers.slapd import Slapd
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, log_in, login
from dicomgate.testing.system_gateway import StartGateway
from dicomgate_ldap import Ldap, authenticator
from plugins.ldap.tests.conftest import Decided
from plugins.ldap.tests.conftest import login as from_alice

LDAP = DOCS / "ldap.md"


def shown() -> list[dict[str, Any]]:
    """The page's pieces of configuration that are tried here; test_ldap_samba.py tries that of Active Directory."""
    whole, _, direct, _ = configurations(LDAP)
    return [whole, direct["authenticator"][0]]


def here(table: dict[str, Any], slapd: Slapd, **others: Any) -> dict[str, Any]:
    """The table of the page, with the files and servers of this test."""
    files = {"ca": slapd.ca, "bind_password_file": slapd.service_file}
    return {**table, **{key: files[key] for key in files.keys() & table.keys()}, **others}


def test_the_configuration_of_the_page_logs_people_in(gateway: StartGateway, spy: Spy, slapd: Slapd) -> None:
    tables = shown()[0]
    (listener,), (upstream,), (authenticator,) = tables["listener"], tables["upstream"], tables["authenticator"]
    # The first server of the page is down here.
    servers = ["ldaps://127.0.0.1:1", slapd.tls]
    assert len(authenticator["servers"]) == len(servers)
    del listener["tls"]
    tables["listener"] = [listener | {"bind": f"{HOST}:0", "cleartext_passcodes": True}]
    tables["upstream"] = [upstream | {"address": f"{HOST}:{spy.address[1]}"}]
    tables["authenticator"] = [here(authenticator, slapd, servers=servers)]
    running = gateway({"gateway": {"node": "test", "audit": "audit.jsonl"}, **tables})
    assert log_in(running.address, [login("Alice", ALICE)])[0] == 2
    assert log_in(running.address, [login("alice", WRONG)]) == REFUSED_IDENTITY
    assert log_in(running.address, [login("bob", ALICE)]) == REFUSED_IDENTITY
    (accepted,) = running.wait_for("Decided", outcome="accept")
    assert accepted["user"] == "alice"
    assert accepted["authenticator"] == "hospital"
    assert "radiology" in accepted["groups"]
    assert "chess" not in accepted["groups"]
    assert {event["reason"] for event in running.wait_for("Decided", 2, outcome="reject")} == {
        "wrong passcode",
        "not in the group radiology",
    }


@pytest.mark.anyio
async def test_the_table_with_a_direct_bind(decided: Decided, slapd: Slapd) -> None:
    keys = made_of(here(shown()[1], slapd, servers=[slapd.plain]))
    right, wrong = await decided(keys, from_alice(), from_alice(secret=WRONG))
    assert isinstance(right, Accept)
    assert right.user == "alice"
    assert wrong == Reject("unknown user or wrong passcode")


def made_of(table: dict[str, Any]) -> dict[str, Any]:
    """The keys that are the authenticator's own."""
    return {"deadline": timedelta(seconds=20)} | {key: table[key] for key in table if key not in ("use", "name")}


class TestPage(AuthenticatorPage):
    page, package = LDAP, dicomgate_ldap
    keys = (Keys(Ldap, under="Configuration"),)

    def test_every_kind_of_groups(self) -> None:
        kinds = get_args(get_type_hints(Ldap)["groups"])
        assert [row[0].strip('`"') for row in rows(section(LDAP, "Groups"))] == list(kinds)


def test_every_reason_is_the_codes() -> None:
    code = "".join(text(path) for path in (ROOT / "plugins/ldap/src").rglob("*.py"))
    code += "".join(text(ROOT / "src/dicomgate/kit" / name) for name in ("failover.py", "credentials.py", "watched.py"))
    code = code.replace("{longest}", str(authenticator.LONGEST_NAME))
    told = [cell for row in rows(section(LDAP, "Why a login is refused")) for cell in row[0].split("`")[1::2]]
    for _, message, _ in rows(section(LDAP, "Log messages")):
        told.append(message.strip("`").removeprefix("directory ldaps://... ").removeprefix("hospital-ca.pem: "))
    assert len(told) > 20
    assert [reason for reason in told if reason.removesuffix("...").strip(" :") not in code] == []


def test_the_floor_and_the_memory_of_the_page_are_the_codes() -> None:
    page = " ".join(text(LDAP).split())
    assert f"at least {round(equal_time.LEAST_FLOOR * 1000)} ms, or {equal_time.FLOOR_MARGIN} times" in page
    assert f"up to {round(authenticator.BLUR * 1000)} ms at random" in page
    assert f"for {failover.MEMORY:.0f} seconds" in page
