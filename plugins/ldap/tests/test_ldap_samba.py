"""What is decided, asked of a real Active Directory: Samba's."""

from __future__ import annotations

from typing import Any

import pytest

from dicomgate import Accept, Reject, Unavailable
from dicomgate.testing.evidence import WRONG
from dicomgate.testing.pages import DOCS, configurations
from dicomgate.testing.peers.samba import GATE, GROUPS, STAFF, THRESHOLD, Samba
from dicomgate_ldap import Ldap
from plugins.ldap.tests.conftest import Decided, login

pytestmark = pytest.mark.anyio


def keys_of_the_page(samba: Samba, **others: Any) -> dict[str, Any]:
    """The page's table for Active Directory, with the files and servers of this test."""
    table = configurations(DOCS / "ldap.md")[1]["authenticator"][0]
    del table["use"], table["name"]
    return {**table, **samba.keys(), **others}


def direct_keys(samba: Samba, template: str) -> dict[str, Any]:
    return keys_of_the_page(samba, bind_dn=None, bind_password_file=None, direct_bind=template)


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("bert", "the account is disabled"),
        ("carl", "the passcode has expired"),
        ("dora", "the passcode must be changed first"),
        ("emil", "the account has expired"),
        ("gert", "logins are not permitted at this time"),
        ("hugo", "logins are not permitted from this computer"),
        ("ines", "wrong passcode"),  # a smart card is required, and the directory does not say so
    ],
)
async def test_the_states_of_an_account(decided: Decided, samba: Samba, user: str, reason: str) -> None:
    right, wrong, control = await decided(keys_of_the_page(samba), login(user), login(user, WRONG), login("alice"))
    assert right == Reject(reason)
    assert wrong == Reject("wrong passcode")
    assert isinstance(control, Accept)


async def test_which_accounts_are_still_valid(samba: Samba) -> None:
    async with Ldap(**keys_of_the_page(samba)) as ldap:
        assert ldap.still_valid is not None
        answers = [await ldap.still_valid(user, None) for user in ("alice", "bert", "carl", "emil", "zoe")]
    refused = [Reject(why) for why in ("the account is disabled", "the account has expired", "unknown user")]
    assert answers == [Accept("alice"), refused[0], Accept("carl"), *refused[1:]]


async def test_a_few_guesses_lock_an_account_for_all_that_it_is_used_for(decided: Decided, samba: Samba) -> None:
    keys = keys_of_the_page(samba)
    assert isinstance((await decided(keys, login("fritz")))[0], Accept)
    for _ in range(THRESHOLD):
        assert await decided(keys, login("fritz", WRONG)) == [Reject("wrong passcode")]
    assert await decided(keys, login("fritz")) == [Reject("the account is locked")]


async def test_the_limit_is_read_from_the_domain(samba: Samba) -> None:
    """Wherever below it users are looked for. Users who bind directly are not asked."""
    async with Ldap(**keys_of_the_page(samba, base=STAFF)) as ldap:
        assert ldap.locks_after == THRESHOLD
        (told,) = await ldap.probe()
    assert (told.what, told.problem) == (f"directory {samba.tls}", "")
    assert f"answers {GATE}; {THRESHOLD} wrong passcodes lock an account; its certificate: CN=dc1," in told.detail
    assert samba.address in told.detail
    async with Ldap(**direct_keys(samba, "{name}@hospital.example")) as ldap:
        assert ldap.locks_after == 0


@pytest.mark.parametrize(
    ("scheme", "port", "keys", "said"),
    [
        ("ldaps", 389, {}, "on port 389 TLS begins with StartTLS: ldap://127."),
        ("ldap", 636, {}, "on port 636 TLS begins at once: ldaps://127."),
        ("ldap", 636, {"cleartext": True}, "it closes the connection; on port 636 TLS begins at once: ldaps://127."),
        ("ldap", 389, {"cleartext": True}, "Transport encryption required: it wants TLS, remove cleartext"),
        ("ldaps", 636, {"ca": None}, "name the file with its authority as `ca`"),
        ("ldaps", 636, {"bind_dn": f"CN=Nobody,{STAFF}"}, "wrong secret, or no such entry: see bind_dn"),
        ("ldaps", 636, {"bind_dn": None, "bind_password_file": None}, "set bind_dn and bind_password_file"),
        ("ldaps", 636, {"base": f"OU=Nowhere,{STAFF}"}, f"there is no entry OU=Nowhere,{STAFF}"),
    ],
)
async def test_what_is_wrong_with_a_table_is_said(
    decided: Decided, samba: Samba, scheme: str, port: int, keys: dict[str, Any], said: str
) -> None:
    servers = [f"{scheme}://{samba.address}:{port}"]
    (decision,) = await decided(keys_of_the_page(samba, servers=servers, **keys), login("alice"))
    assert isinstance(decision, Unavailable)
    assert said in decision.reason


@pytest.mark.parametrize(
    ("typed", "user"),
    [
        ("ALICE", "alice"),
        ("Alice@HOSPITAL.example", "alice"),
        ("hospital\\Alice", "alice"),
        ("anna.meier@hospital.example", "ameier"),
        ("HOSPITAL\\ameier", "ameier"),
        ("ameier@hospital.example", ""),  # has another userPrincipalName
        ("OTHER\\alice", ""),
        ("HOSPITAL\\HOSPITAL\\alice", ""),
        ("HOSPITAL\\", ""),
        ("HOSPITAL\\*", ""),
        ("\\alice", ""),
    ],
)
async def test_each_way_to_write_a_name(decided: Decided, samba: Samba, typed: str, user: str) -> None:
    right, wrong = await decided(keys_of_the_page(samba), login(typed), login(typed, WRONG))
    assert isinstance(wrong, Reject)
    if user:
        assert isinstance(right, Accept), right
        assert right.user == user
    else:
        assert right == Reject("unknown user")


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        ({}, {"radiology", "imaging"}),
        ({"group_base": None}, {"radiology", "imaging", "Domain Users"}),
        ({"groups": "memberof"}, {"radiology"}),
        ({"groups": "memberof", "group_base": None}, {"radiology"}),
        ({"groups": "search", "group_filter": "(member={dn})"}, {"radiology"}),
    ],
)
async def test_groups(decided: Decided, samba: Samba, keys: dict[str, Any], groups: set[str]) -> None:
    (decision,) = await decided(keys_of_the_page(samba, **{"group_base": GROUPS, **keys}), login("alice"))
    assert decision == Accept("alice", frozenset(groups), attributes={"dn": f"CN=Alice,{STAFF}"})


@pytest.mark.parametrize("template", ["{name}@hospital.example", "HOSPITAL\\{name}"])
async def test_users_bind_directly(decided: Decided, samba: Samba, template: str) -> None:
    keys = direct_keys(samba, template)
    attempts = login("Alice"), login("hospital\\alice"), login("alice", WRONG), login("bert")
    *accepted, wrong, disabled = await decided(keys, *attempts)
    for right in accepted:
        assert isinstance(right, Accept)
        assert (right.user, "imaging" in right.groups) == ("alice", True)
    assert wrong == Reject("unknown user or wrong passcode")
    assert disabled == Reject("the account is disabled")


async def test_a_direct_bind_finds_a_user_by_the_name_that_it_made(decided: Decided, samba: Samba) -> None:
    by_upn = {"filter": "(|(sAMAccountName={name})(userPrincipalName={name}@hospital.example))"}
    keys = direct_keys(samba, "{name}@hospital.example")
    found, control = await decided(keys | by_upn, login("Anna.Meier"), login("alice"))
    assert [getattr(one, "user", one) for one in (found, control)] == ["ameier", "alice"]
    (lost,) = await decided(keys, login("Anna.Meier"))
    assert isinstance(lost, Unavailable)
    assert "the passcode is right, but the filter finds 0 entries" in lost.reason


async def test_a_name_of_two_users_is_the_one_whose_passcode_it_is(decided: Decided, samba: Samba) -> None:
    """otto's userPrincipalName is rita@clinic.example, and rita is another user."""
    keys = direct_keys(samba, "{name}@clinic.example")
    assert await decided(keys, login("rita")) == [Reject("the passcode of another user")]
    (control,) = await decided(keys | {"filter": "(userPrincipalName={name}@clinic.example)"}, login("rita"))
    assert isinstance(control, Accept)
    assert control.user == "otto"
    by_search = await decided(keys_of_the_page(samba), login("rita"), login("rita@clinic.example"))
    assert [getattr(one, "user", "") for one in by_search] == ["", "otto"]
