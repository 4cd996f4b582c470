"""What goes over the wire, and what becomes of answers that no server here would give: test_ldap_samba.py has a real
Active Directory, which gives some of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Attempt, Decision, Reject, Unavailable
from dicomgate.testing import attempt, passcode
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate_ldap import Ldap
from plugins.ldap.tests.conftest import Decided, login
from plugins.ldap.tests.standin import (
    BIND,
    BOUND,
    DONE,
    EXTENDED,
    SEARCH,
    Asked,
    Script,
    StandIn,
    bound,
    continued,
    extended,
    found,
    referred,
)

pytestmark = pytest.mark.anyio

AskedOf = Callable[..., Awaitable[list[Decision]]]

BASE = "DC=hospital,DC=example"
GATE = "gate@hospital.example"
ALICE_DN = f"CN=Alice \\\\ Müller\\, MD (x*),OU=Staff,{BASE}"
USERS = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={name}))"
NESTED = f"(member:1.2.840.113556.1.4.1941:={ALICE_DN})"
SUBTREE = 2
DIRECT = {"bind_dn": None, "bind_password_file": None, "direct_bind": "{name}@hospital.example"}


def said(code: str) -> str:
    """What Active Directory says of a bind that it refuses."""
    return f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {code}, v2580"


def directory(refusal: str = "52e") -> Script:
    """Alice in radiology, and with it in imaging; her passcode is right, any other is refused with this code."""

    def answer(asked: Asked) -> Sequence[bytes]:
        if asked.what == BIND:
            if (asked.name, asked.passcode) in ((ALICE_DN, ALICE.decode()), (GATE, "service")):
                return bound()
            return bound(49, said(refusal if asked.name == ALICE_DN else "525"))
        if asked.scope != SUBTREE:
            return found((asked.name, {}))
        if asked.filter == USERS.format(name="alice"):
            groups = [f"CN=radiology,OU=Groups,{BASE}", f"CN=Domain Users,CN=Users,{BASE}"]
            return found((ALICE_DN, {"sAMAccountName": ["Alice"], "memberOf": groups}))
        if asked.filter == NESTED:
            return found(*((f"CN={name},OU=Groups,{BASE}", {}) for name in ("radiology", "imaging")))
        return found()

    return answer


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Any]:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("service")
    keys: dict[str, Any] = {"base": BASE, "bind_dn": GATE, "bind_password_file": secret, "filter": USERS}
    return keys | {"name_attribute": "samaccountname", "cleartext": True, "connections": 1}


@pytest.fixture
def asked_of(decided: Decided, keys: dict[str, Any]) -> AskedOf:
    """Give a function that returns what is decided of these attempts if a directory answers by this script."""

    async def asked_of(script: Script, *attempts: Attempt) -> list[Decision]:
        with StandIn(script) as server:
            return await decided(keys | {"servers": [server.url]}, *attempts)

    return asked_of


async def test_search_and_bind(decided: Decided, keys: dict[str, Any]) -> None:
    with StandIn(directory()) as server:
        right, wrong, unknown = await decided(
            keys | {"servers": [server.url]}, login("alice"), login("alice", WRONG), login("zoe")
        )
    assert right == Accept("Alice", frozenset({"radiology", "Domain Users"}), attributes={"dn": ALICE_DN})
    assert wrong == Reject("wrong passcode")
    assert unknown == Reject("unknown user")
    assert all(asked.size_limit == 2 for asked in server.asked if asked.filter.startswith("(&"))
    assert [asked.passcode for asked in server.asked if asked.name == GATE] == ["service"]


async def test_nested_groups_are_asked_for_by_the_matching_rule(decided: Decided, keys: dict[str, Any]) -> None:
    with StandIn(directory()) as server:
        nested = keys | {"servers": [server.url], "groups": "nested", "group_base": f"OU=Groups,{BASE}"}
        (right,) = await decided(nested, login("alice"))
        (plain,) = await decided(keys | {"servers": [server.url]}, login("alice"))
    assert isinstance(right, Accept)
    assert right.groups == {"radiology", "imaging"}
    asked = [asked for asked in server.asked if asked.filter == NESTED]
    assert [(one.name, one.scope) for one in asked] == [(f"OU=Groups,{BASE}", SUBTREE)]
    assert isinstance(plain, Accept)
    assert "imaging" not in plain.groups


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("52e", "wrong passcode"),
        ("52f", "restrictions of the account forbid the login"),
        ("530", "logins are not permitted at this time"),
        ("531", "logins are not permitted from this computer"),
        ("532", "the passcode has expired"),
        ("533", "the account is disabled"),
        ("569", "the account may not log in to the directory's server"),
        ("701", "the account has expired"),
        ("773", "the passcode must be changed first"),
        ("775", "the account is locked"),
        ("abc", "wrong passcode"),
        # 389 Directory Server answers with another result code.
        (19, "the directory refuses the account: Constraint violation. Account inactivated"),
        (53, "the directory refuses the account: Server is unwilling to perform. Account inactivated"),
    ],
)
async def test_the_reasons_of_a_refusal(asked_of: AskedOf, code: str | int, reason: str) -> None:
    def answer(asked: Asked) -> Sequence[bytes]:
        if isinstance(code, int) and asked.passcode == WRONG.decode():
            return bound(code, "Account inactivated.")
        return directory(str(code))(asked)

    refused, control = await asked_of(answer, login("alice", WRONG), login("alice"))
    assert refused == Reject(reason)
    assert isinstance(control, Accept)


@pytest.mark.parametrize("template", ["{name}@hospital.example", "HOSPITAL\\{name}"])
async def test_a_direct_bind_by_a_name_of_active_directory(
    decided: Decided, keys: dict[str, Any], template: str
) -> None:
    name = template.format(name="alice")

    def answer(asked: Asked) -> Sequence[bytes]:
        if asked.what == BIND:
            right = asked.name in (name, ALICE_DN) and asked.passcode == ALICE.decode()
            return bound() if right else bound(49, said("52e"))
        return directory()(asked)

    with StandIn(answer) as server:
        direct = keys | DIRECT | {"direct_bind": template, "servers": [server.url]}
        right, wrong = await decided(direct, login("alice")), await decided(direct, login("alice", WRONG))
        for typed in ("bob@elsewhere.example", "X\\alice", "alice/x", '"alice"', "ali*"):
            (refused,) = await decided(direct, login(typed))
            assert refused == Reject("no username of Active Directory has such a character")
    assert isinstance(right[0], Accept)
    assert right[0].user == "Alice"
    assert wrong == [Reject("unknown user or wrong passcode")]
    bound_as = {asked.name for asked in server.asked if asked.what == BIND}
    assert bound_as == {name, ALICE_DN, template.format(name="dicomgate-decoy")}


async def test_right_for_nobody_is_not_enough(decided: Decided, keys: dict[str, Any]) -> None:
    """The passcode of the decoy, if there is such an account, is nobody's."""

    def welcome(asked: Asked) -> Sequence[bytes]:
        return bound() if asked.what == BIND else found((ALICE_DN, {"sAMAccountName": ["Alice"]}))

    def nobody(asked: Asked) -> Sequence[bytes]:
        return found() if asked.what == SEARCH and asked.scope == SUBTREE else welcome(asked)

    direct = keys | DIRECT
    with StandIn(welcome) as everybody, StandIn(nobody) as empty:
        assert isinstance((await decided(keys | {"servers": [everybody.url]}, login("alice")))[0], Accept)
        assert isinstance((await decided(direct | {"servers": [everybody.url]}, login("alice")))[0], Accept)
        for table in (keys, direct):
            (refused,) = await decided(table | {"servers": [everybody.url]}, login("a" * 300))
            assert isinstance(refused, Reject)
        assert await decided(keys | {"servers": [empty.url]}, login("alice")) == [Reject("unknown user")]
        (lost,) = await decided(direct | {"servers": [empty.url]}, login("alice"))
        assert isinstance(lost, Unavailable)
        assert "the passcode is right, but the filter finds 0 entries" in lost.reason


@pytest.mark.parametrize("groups", ["none", "search"])
async def test_each_refusal_costs_the_same(keys: dict[str, Any], groups: str) -> None:
    """Over the wire: as many requests of the same kinds on as many connections, whatever is wrong."""
    wrong = [login("alice", WRONG), login("zoe"), login("zoe", b"\xff"), login("a" * 300), login("al\0ice"), login("*")]
    wrong += [login("alice", ALICE + b"\0"), attempt(passcode(b"\xff", ALICE))]
    with StandIn(directory()) as server:
        asked_for = []
        async with Ldap(**keys | {"servers": [server.url], "groups": groups}) as ldap:
            for one in (login("alice"), *wrong):
                before = len(server.asked)
                decision = await ldap.authenticate(one)
                new = server.asked[before:]
                asked_for.append([(asked.what, asked.connection == new[-1].connection) for asked in new])
                assert isinstance(decision, Reject) is (one in wrong)
    searches = [(SEARCH, False)] * (2 if groups == "search" else 1)
    assert asked_for[1:] == [[*searches, (BIND, True)]] * len(wrong)


@pytest.mark.parametrize("code", [1, 2, 8, 10, 11, 13, 51, 52, 80])
async def test_what_says_nothing_of_the_login_is_unavailable(asked_of: AskedOf, code: int) -> None:
    """From operationsError by way of strongerAuthRequired, referral and busy to other (RFC 4511 appendix A.1)."""

    def answer(asked: Asked) -> Sequence[bytes]:
        if asked.what == BIND and asked.passcode == WRONG.decode():
            return bound(code)
        if asked.what == SEARCH and "trouble" in asked.filter:
            return found(code=80 if code == 10 else code)  # a referral instead of an entry: see below
        return directory()(asked)

    at_bind, at_search, control = await asked_of(answer, login("alice", WRONG), login("trouble"), login("alice"))
    assert isinstance(at_bind, Unavailable)
    assert isinstance(at_search, Unavailable)
    assert isinstance(control, Accept)


async def test_a_server_that_does_not_hold_the_base_finds_nobody_and_says_so(asked_of: AskedOf) -> None:
    """A referral is not followed, and is not the answer "no such user" either."""

    def elsewhere(asked: Asked) -> Sequence[bytes]:
        return found(code=10) if asked.what == SEARCH else directory()(asked)

    (decision,) = await asked_of(elsewhere, login("alice"))
    assert isinstance(decision, Unavailable)
    assert f"there is no entry {BASE}" in decision.reason


@pytest.mark.parametrize("where", ["bind", "search", "continuation"])
async def test_referrals_are_not_followed(decided: Decided, keys: dict[str, Any], where: str) -> None:
    """Another server would be told who logs in, and by a bind the passcode."""
    with StandIn(directory()) as other:

        def elsewhere(asked: Asked) -> Sequence[bytes]:
            if where == "bind" and asked.name == ALICE_DN and asked.what == BIND:
                return referred(BOUND, f"{other.url}/{ALICE_DN}")
            if where != "bind" and asked.scope == SUBTREE:
                return referred(DONE, other.url) if where == "search" else continued(f"{other.url}/{BASE}??sub")
            return directory()(asked)

        with StandIn(elsewhere) as server:
            (decision,) = await decided(keys | {"servers": [server.url]}, login("alice"))
        assert other.connections == 0
        assert isinstance((await decided(keys | {"servers": [other.url]}, login("alice")))[0], Accept)
    assert decision == Reject("unknown user") if where == "continuation" else isinstance(decision, Unavailable)


@pytest.mark.parametrize(("code", "said"), [(50, "Operations are restricted to bind"), (53, "")])
async def test_an_account_of_the_gateways_that_must_change_its_secret(
    decided: Decided, keys: dict[str, Any], code: int, said: str
) -> None:
    def restricted(asked: Asked) -> Sequence[bytes]:
        return directory()(asked) if asked.scope != SUBTREE else found(code=code, said=said)

    with StandIn(restricted) as server:
        (decision,) = await decided(keys | {"servers": [server.url]}, login("alice"))
    assert decision == Unavailable(f"{server.url}: the passcode must be changed first")


@pytest.mark.parametrize("code", [1, 2, 19, 32, 48, 49, 52, 53])
async def test_where_starttls_is_refused_nothing_is_told(decided: Decided, keys: dict[str, Any], code: int) -> None:
    """An attacker who strips StartTLS gets neither the secret of the gateway's account nor a passcode."""
    direct = keys | DIRECT
    with StandIn(lambda asked: extended(code) if asked.what == EXTENDED else directory()(asked)) as server:
        for table in (keys, direct):
            (decision,) = await decided(table | {"servers": [server.url], "cleartext": False}, login("alice"))
            assert decision == Unavailable(f"{server.url}: it does not answer StartTLS with success")
        assert {asked.what for asked in server.asked} == {EXTENDED}
        assert isinstance((await decided(keys | {"servers": [server.url]}, login("alice")))[0], Accept)
