"""The groups of a user whom somebody else has verified (`groups_from`), asked of a real OpenLDAP server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dicomgate.testing.peers.slapd import BASE, Slapd
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import REFUSED_IDENTITY, TRY_LATER, RawClient, login, request
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_ldap import Ldap


async def groups_of(keys: dict[str, Any], *users: str) -> list[frozenset[str] | type[BaseException]]:
    async with Ldap(**keys) as ldap:
        answers = await asyncio.gather(*map(ldap.groups_of, users), return_exceptions=True)
        return [type(one) if isinstance(one, BaseException) else one for one in answers]


@pytest.mark.anyio
async def test_of_a_user_and_of_nobody(slapd: Slapd) -> None:
    keys = slapd.keys(groups="memberof", group_base=f"ou=groups,{BASE}")
    known, *others = await groups_of(
        keys, "alice", "zoe", "", "a\0", "*", "alice)(uid=*", " alice", "\uff41lice", "x" * 300
    )
    assert known == frozenset({"radiology", "x-ray # 1"})
    assert others == [LookupError] * 8


@pytest.mark.anyio
async def test_a_user_without_the_required_group(slapd: Slapd) -> None:
    assert await groups_of(slapd.keys(required_group="nobody's"), "alice") == [LookupError]
    (known,) = await groups_of(slapd.keys(required_group="radiology"), "alice")
    assert isinstance(known, frozenset)
    assert "radiology" in known


@pytest.mark.anyio
async def test_a_directory_that_cannot_be_asked(slapd: Slapd) -> None:
    assert await groups_of(slapd.keys(servers=["ldap://127.0.0.1:1"]), "alice") == [ConnectionError]


_JUDGE = """
    from dicomgate import Accept

    class Judge:
        def authenticate(self, attempt):
            return Accept(attempt.identity.username, frozenset({"ticket"}))
"""


def test_over_the_wire(gateway: StartGateway, own_slapd: Slapd, install_authenticator: Any) -> None:
    with Spy([accept_all, RELEASE_RP]) as pacs:
        tables = configuration(pacs.address, listener={"authenticators": ["tickets"]})
        keys = own_slapd.keys(deadline="2s")
        keys |= {"ca": str(keys["ca"]), "bind_password_file": str(keys["bind_password_file"])}
        judge = {"use": install_authenticator(_JUDGE), "name": "tickets", "groups_from": "directory"}
        tables["authenticator"] = [judge, {"use": "ldap", "name": "directory", **keys}]
        running = gateway(tables)
        with RawClient(running.address) as client:
            assert client.ask(request(login("alice", b"ticket")))[0] == 2
            assert client.release() == RELEASE_RP
        (decided,) = running.wait_for("Decided")
        assert (decided["user"], decided["authenticator"]) == ("alice", "tickets")
        assert "ticket" in decided["groups"]
        assert len(decided["groups"]) > 1
        with RawClient(running.address) as stranger:
            assert stranger.ask(request(login("zoe", b"ticket"))) == REFUSED_IDENTITY
        assert "unknown user" in running.wait_for("Refused")[0]["reason"]
        own_slapd.stop()
        with RawClient(running.address) as again:
            assert again.ask(request(login("alice", b"other ticket"))) == TRY_LATER
        own_slapd.start()


@pytest.mark.parametrize("named", ["nobody", "tickets"])
def test_a_source_that_is_none(gateway: StartGateway, install_authenticator: Any, named: str) -> None:
    tables = configuration(("127.0.0.1", 1))
    judge = {"use": install_authenticator(_JUDGE), "name": "tickets", "groups_from": named}
    tables["authenticator"] = [judge, *tables["authenticator"]]
    with pytest.raises(Exception, match="groups_from: no other authenticator is called"):
        gateway(tables)
    tables["authenticator"][0]["groups_from"] = "staff"
    with pytest.raises(Exception, match="'staff' cannot be asked for groups"):
        gateway(tables)
