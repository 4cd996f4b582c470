"""Users who leave: what a directory says of them later, and what the gateway does then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dicomgate import Accept, ConfigError, Reject, Unavailable
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.slapd import LOCKED, PEOPLE, Slapd, person
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ABORT, RawClient, p_data, request
from dicomgate.testing.raw_client import login as identity
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_ldap import Ldap
from dicomgate_ldap.standing import problem_of
from plugins.ldap.tests.conftest import login

NOW = 1_800_000_000.0
FILETIME_NOW = (1_800_000_000 + 11_644_473_600) * 10_000_000
DISABLED, LOCKED_FOR_GOOD, EXPIRED = (
    "the account is disabled", "the account is locked or disabled", "the account has expired",
)  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({}, ""),
        ({"userAccountControl": "512"}, ""),
        ({"userAccountControl": "514"}, DISABLED),
        ({"USERACCOUNTCONTROL": "66050"}, DISABLED),
        ({"accountExpires": "0"}, ""),
        ({"accountExpires": "9223372036854775807"}, ""),
        ({"accountExpires": str(FILETIME_NOW + 10_000_000)}, ""),
        ({"accountExpires": str(FILETIME_NOW)}, EXPIRED),
        ({"nsAccountLock": "TRUE"}, DISABLED),
        ({"nsAccountLock": "false"}, ""),
        ({"pwdAccountLockedTime": "000001010000Z"}, LOCKED_FOR_GOOD),
        ({"pwdAccountLockedTime": "20270115080000Z"}, ""),
    ],
)
def test_what_an_entry_says_of_its_account(entry: dict[str, str], problem: str) -> None:
    """The last one: after wrong passcodes, which anybody can send."""
    assert problem_of({name: [value.encode()] for name, value in entry.items()}, NOW) == problem


async def asked(keys: dict[str, Any], user: str, handle: object = None) -> object:
    async with Ldap(**keys) as ldap:
        assert ldap.still_valid is not None
        return await ldap.still_valid(user, handle)


@pytest.mark.anyio
async def test_what_a_directory_says_of_a_user_who_has_logged_in(slapd: Slapd) -> None:
    assert await asked(slapd.keys(), "alice") == Accept("alice")
    assert await asked(slapd.keys(), "bert") == Reject(LOCKED_FOR_GOOD)
    assert await asked(slapd.keys(), "zoe") == Reject("unknown user")
    assert await asked(slapd.keys(required_group="radiology"), "alice") == Accept("alice")
    assert await asked(slapd.keys(required_group="radiology"), "bob") == Reject("not in the group radiology")
    by_surname = slapd.keys(filter="(&(sn=x)(cn={name}))", groups="none")
    async with Ldap(**by_surname, remember=timedelta(hours=1)) as ldap:
        accept = await ldap.authenticate(login("ALICE"))
        assert isinstance(accept, Accept)
        assert (accept.user, accept.handle) == ("alice", "ALICE")
    assert await asked(by_surname, "bob", accept.handle) == Reject("the name is now that of 'alice'")
    silent = await asked({**slapd.keys(), "servers": ["ldap://127.0.0.1:1"]}, "alice")
    assert isinstance(silent, Unavailable)


def test_nobody_can_look_where_users_bind_themselves(slapd: Slapd, gateway: StartGateway) -> None:
    keys = {key: value for key, value in slapd.direct_keys().items() if value is not None}
    assert Ldap(**slapd.direct_keys()).still_valid is None
    with pytest.raises(ConfigError, match="revalidate: this authenticator cannot say"):
        gateway(configuration(("127.0.0.1", 104), {"use": "ldap", **keys, "revalidate": "1s"}))


def test_a_gateway_ends_who_is_removed_or_locked_and_keeps_all_while_the_directory_is_down(
    own_slapd: Slapd, gateway: StartGateway
) -> None:
    own_slapd.change(person("gina"))
    with Spy([accept_all, b"", RELEASE_RP]) as spy:
        keys = own_slapd.keys(revalidate="1s", remember="1h")
        running = gateway(configuration(spy.address, {"use": "ldap", "name": "staff", **keys}))
        clients = {name: RawClient(running.address) for name in ("alice", "bob", "gina")}
        with clients["alice"] as alice, clients["bob"] as bob, clients["gina"] as gina:
            for name, client in clients.items():
                assert client.ask(request(identity(name, ALICE)))[0] == 2
                client.send(p_data(bytes(1000)))
            own_slapd.stop()
            wait_until(lambda: "may still log in; they stay connected" in running.log(), "the question failing")
            own_slapd.start()
            own_slapd.change(f"dn: uid=gina,{PEOPLE}\nchangetype: delete\n")
            own_slapd.change(f"dn: uid=bob,{PEOPLE}\nchangetype: modify\nadd: pwdAccountLockedTime\n{LOCKED}\n")
            assert gina.pdu() == bob.pdu() == ABORT
            assert alice.release() == RELEASE_RP
            with RawClient(running.address) as again:  # what `remember` knew of them is forgotten
                assert again.ask(request(identity("bob", ALICE)))[0] == 3
        closed = {one["user"]: (one["cause"], one["detail"]) for one in running.wait_for("Closed", 3)}
    assert closed["alice"] == ("released", "")
    assert closed["bob"] == ("the user was disabled", f"staff: {LOCKED_FOR_GOOD}")
    assert closed["gina"] == ("the user was disabled", "staff: unknown user")
