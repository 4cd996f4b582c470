"""What is decided, asked of a real OpenLDAP server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Reject, Unavailable
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.slapd import BASE, GATE, PEOPLE, STUDENTS, Slapd
from dicomgate_ldap import Ldap, server
from dicomgate_ldap.lockout import domain_of
from plugins.ldap.tests.conftest import Decided, login

pytestmark = pytest.mark.anyio


async def test_right_and_wrong(decided: Decided, slapd: Slapd) -> None:
    right, wrong, unknown, foreign = await decided(
        slapd.keys(groups="none"), login("alice"), login("alice", WRONG), login("zoe"), login("bob", b"x")
    )
    assert right == Accept(user="alice", attributes={"dn": f"uid=alice,{PEOPLE}"})
    assert wrong == foreign == Reject("wrong passcode")
    assert unknown == Reject("unknown user")


@pytest.mark.parametrize("kind", ["starttls", "ldaps", "cleartext"])
async def test_each_kind_of_connection(decided: Decided, slapd: Slapd, kind: str) -> None:
    servers = [slapd.tls if kind == "ldaps" else slapd.plain]
    for keys in (slapd.keys(), slapd.direct_keys()):
        keys |= {"servers": servers, "cleartext": kind == "cleartext"}
        right, wrong = await decided(keys, login("alice"), login("alice", WRONG))
        assert isinstance(right, Accept)
        assert isinstance(wrong, Reject)


@pytest.mark.parametrize("typed", ["ALICE", "alice ", " alice", "aLiCe"])
async def test_the_name_is_the_entrys(decided: Decided, slapd: Slapd, typed: str) -> None:
    decisions = await decided(slapd.keys(), login(typed), login(typed, WRONG))
    assert isinstance(decisions[0], Accept)
    assert decisions[0].user == "alice"
    assert isinstance(decisions[1], Reject)


@pytest.mark.parametrize(
    "typed",
    [
        *("*", "a*", "alice*", ")(uid=*", "*)(uid=alice", "alice)(uid=alice", "alice)(|(uid=*", "(", ")", "&"),
        *("uid=alice", f"uid=alice,{PEOPLE}", "alice,ou=people", '"alice"', "#616c696365", "+", ",", "\\2a"),
        *("", "\0", "alice\0", "ali\0ce", "alice\n", "\\61lice", "a" * 256, "é" * 200, b"alice\xff", b"\xc3("),
        *("alice\u00ad", "alice\u200b", "\u00a0alice"),
    ],
)
async def test_nobody_gets_in_by_another_name(decided: Decided, slapd: Slapd, typed: str | bytes) -> None:
    for keys in (slapd.keys(), slapd.direct_keys()):
        injected, control = await decided(keys, login(typed), login("alice"))
        assert isinstance(injected, Reject), injected
        assert isinstance(control, Accept)


@pytest.mark.parametrize(
    "tried",
    [
        *(ALICE + b" ", b" " + ALICE, ALICE + b"\0", ALICE + b"\0x", ALICE.upper()),
        *(b"", b"\0", b"*", b"\xff", b"x" * 60_000),
    ],
)
async def test_only_exactly_the_passcode_is_right(decided: Decided, slapd: Slapd, tried: bytes) -> None:
    for keys in (slapd.keys(), slapd.direct_keys()):
        refused, control = await decided(keys, login("alice", tried), login("alice"))
        assert isinstance(refused, Reject), refused
        assert isinstance(control, Accept)


async def test_no_two_entries_and_no_two_names(decided: Decided, slapd: Slapd) -> None:
    """Size limit 2: with a wider filter there are more than that."""
    ambiguous, two_names = await decided(slapd.keys(), login("twin"), login("anna"))
    assert ambiguous == Reject("ambiguous: more than one entry has this name")
    assert isinstance(two_names, Unavailable)
    assert f"uid=anna,{PEOPLE}: must have one uid, and has 2" in two_names.reason
    everybody = await decided(slapd.keys(filter="(|(uid=*)(uid={name}))"), login("alice"))
    assert everybody == [ambiguous]
    (control,) = await decided(slapd.keys(base=PEOPLE), login("twin"))
    assert isinstance(control, Accept)


async def test_names_are_text(decided: Decided, slapd: Slapd) -> None:
    """`0x10` is not the number 16, which is somebody else."""
    hexadecimal, decimal = await decided(slapd.keys(), login("0x10"), login("16"))
    assert isinstance(hexadecimal, Accept)
    assert isinstance(decimal, Accept)
    assert (hexadecimal.user, decimal.user) == ("0x10", "16")


async def test_a_dn_with_every_special_character(decided: Decided, slapd: Slapd) -> None:
    """A DN goes back to the directory as the directory wrote it."""
    right, wrong = await decided(slapd.keys(), login("jm"), login("jm", WRONG))
    assert isinstance(right, Accept)
    assert right.user == "jm"
    assert "#1" in right.attributes["dn"]
    assert wrong == Reject("wrong passcode")
    direct, control = await decided(
        slapd.direct_keys(f"cn={{name}},{PEOPLE}"), login('Müller, "J+M" \\2C #1'), login("jm")
    )
    assert isinstance(direct, Accept)
    assert direct.user == "jm"
    assert isinstance(control, Reject)


@pytest.mark.parametrize(
    ("user", "right", "wrong"),
    [
        ("bert", "the account is locked or disabled", "the account is locked or disabled"),
        ("carl", "the passcode has expired", "wrong passcode"),
        ("dora", "the passcode must be changed first", "wrong passcode"),
        ("emil", "the passcode has expired", "wrong passcode"),
        ("nopasscode", "wrong passcode", "wrong passcode"),
    ],
)
async def test_the_password_policy_is_kept(decided: Decided, slapd: Slapd, user: str, right: str, wrong: str) -> None:
    assert await decided(slapd.keys(), login(user), login(user, WRONG)) == [Reject(right), Reject(wrong)]
    wrong = wrong.replace("wrong passcode", "unknown user or wrong passcode")
    right = right.replace("wrong passcode", "unknown user or wrong passcode")
    assert await decided(slapd.direct_keys(), login(user), login(user, WRONG)) == [Reject(right), Reject(wrong)]


async def test_the_directory_locks_the_account(decided: Decided, slapd: Slapd) -> None:
    """Each wrong passcode is one bind, no more: the second locks."""
    keys = slapd.keys()
    assert isinstance((await decided(keys, login("fritz", WRONG), login("alice")))[0], Reject)
    assert isinstance((await decided(keys, login("fritz")))[0], Accept)
    for _ in range(2):
        assert await decided(keys, login("fritz", WRONG)) == [Reject("wrong passcode")]
    assert await decided(keys, login("fritz")) == [Reject("the account is locked or disabled")]


async def test_the_least_limit_is_read_from_the_policies(slapd: Slapd) -> None:
    """An anonymous account may not read them here."""
    async with Ldap(**slapd.keys()) as ldap:
        assert ldap.locks_after == 2
    async with Ldap(**slapd.keys(base=STUDENTS, bind_dn=None, bind_password_file=None)) as ldap:
        assert ldap.locks_after == 0
    assert (domain_of(STUDENTS), domain_of("ou=people,o=hospital")) == (BASE, "ou=people,o=hospital")


class TestGroups:
    async def groups(self, decided: Decided, slapd: Slapd, **keys: Any) -> frozenset[str]:
        (decision,) = await decided(slapd.keys(**keys), login("alice"))
        assert isinstance(decision, Accept), decision
        return decision.groups

    async def test_of_the_entry(self, decided: Decided, slapd: Slapd) -> None:
        assert await self.groups(decided, slapd) == {"radiology", "x-ray # 1", "chess"}
        assert await self.groups(decided, slapd, group_base=f"OU=Groups, {BASE}") == {"radiology", "x-ray # 1"}
        assert await self.groups(decided, slapd, group_base=f"cn=radiology,ou=groups,{BASE}") == frozenset()
        # Here users may read their own entry; groups are for those who may read them.
        (direct,) = await decided(slapd.direct_keys(), login("alice"))
        assert isinstance(direct, Accept)
        assert direct.groups == {"radiology", "x-ray # 1", "chess"}

    async def test_by_search(self, decided: Decided, slapd: Slapd) -> None:
        everything = {"radiology", "x-ray # 1", "chess", "unix", "unique"}
        assert await self.groups(decided, slapd, groups="search") == everything
        assert await self.groups(decided, slapd, groups="search", group_base=f"ou=groups,{BASE}") == everything - {
            "chess"
        }
        assert await self.groups(decided, slapd, groups="search", group_filter="(memberUid={name})") == {"unix"}
        (bob,) = await decided(slapd.keys(groups="search"), login("bob"))
        assert isinstance(bob, Accept)
        assert bob.groups == frozenset()

    @pytest.mark.parametrize("groups", ["memberof", "search"])
    async def test_the_required_one(self, decided: Decided, slapd: Slapd, groups: str) -> None:
        keys = slapd.keys(groups=groups, required_group="Radiology")
        alice, bob, wrong = await decided(keys, login("alice"), login("bob"), login("bob", WRONG))
        assert isinstance(alice, Accept)
        assert bob == Reject("not in the group Radiology")
        assert wrong == Reject("wrong passcode")
        (direct,) = await decided(slapd.direct_keys(required_group="nurses"), login("alice"))
        assert direct == Reject("not in the group nurses")


class TestTheGatewaysOwnAccount:
    async def test_a_name_that_is_no_dn_is_told(self, decided: Decided, slapd: Slapd) -> None:
        (decision,) = await decided(slapd.keys(bind_dn="gateway@hospital.example"), login("alice"))
        assert isinstance(decision, Unavailable)
        assert "bind_dn 'gateway@hospital.example' is not a DN, and this directory" in decision.reason

    async def test_its_wrong_secret_is_not_the_users(self, decided: Decided, slapd: Slapd, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong.secret"
        wrong.touch(mode=0o600)
        wrong.write_bytes(WRONG)
        for decision in await decided(
            slapd.keys(bind_password_file=wrong), login("alice"), login("alice", WRONG), login("zoe")
        ):
            assert isinstance(decision, Unavailable)
            assert (
                f"refuses the gateway's own account, {GATE}: wrong secret, or no such entry: see bind_dn"
                in decision.reason
            )
        assert isinstance((await decided(slapd.keys(), login("alice")))[0], Accept)

    async def test_it_need_not_have_one(self, decided: Decided, slapd: Slapd) -> None:
        """Here anybody may look at students, and at nobody else."""
        anonymous = slapd.keys(bind_dn=None, bind_password_file=None)
        right, wrong = await decided(anonymous | {"base": STUDENTS}, login("twin"), login("twin", WRONG))
        assert isinstance(right, Accept)
        assert wrong == Reject("wrong passcode")
        (blind,) = await decided(anonymous, login("alice"))
        assert blind == Unavailable(f"{slapd.plain}: there is no entry {BASE}, or it may not be read")

    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            ({"base": "dc=elsewhere,dc=example"}, "there is no entry dc=elsewhere,dc=example"),
            ({"groups": "search", "group_base": f"ou=none,{BASE}"}, f"there is no entry ou=none,{BASE}"),
            ({"filter": "(&uid={name})"}, "Bad search filter"),
            ({"groups": "search", "group_filter": "(=({dn}))"}, "Bad search filter"),
            ({"name_attribute": "mail"}, f"uid=alice,{PEOPLE}: must have one mail, and has 0"),
        ],
    )
    async def test_what_it_cannot_ask_is_not_the_users(
        self, decided: Decided, slapd: Slapd, broken: dict[str, str], said: str
    ) -> None:
        (decision,) = await decided(slapd.keys(**broken), login("alice", WRONG))
        assert isinstance(decision, Unavailable)
        assert said in decision.reason

    @pytest.mark.parametrize(("idle", "kept"), [(60.0, True), (0.0, False)])
    async def test_its_connection_and_the_users_are_kept_but_not_for_long(
        self, slapd: Slapd, monkeypatch: pytest.MonkeyPatch, idle: float, kept: bool
    ) -> None:
        monkeypatch.setattr(server, "_IDLE", idle)
        async with Ldap(**slapd.keys()) as ldap:
            used = []
            for _ in range(2):
                assert isinstance(await ldap.authenticate(login("alice")), Accept)
                own_server = ldap._directories[slapd.plain]._server
                used.append((own_server._idle._connections[-1][0], own_server._spare._connections[-1][0]))
            await asyncio.sleep(0.2)
            assert len(own_server._open) == 2
        assert [one is other for one, other in zip(*used, strict=True)] == [kept, kept]
