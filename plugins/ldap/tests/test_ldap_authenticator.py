from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from dicomgate import Accept, Identity, IdentityType, Pass, Reject, Unavailable
from dicomgate.testing import attempt, jwt, kerberos, saml, username
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.loopback import HOST, free_port
from dicomgate.testing.peers.slapd import Slapd
from dicomgate_ldap import Ldap
from dicomgate_ldap.directory import Answer, Directory
from plugins.ldap.tests.conftest import Decided, login
from plugins.ldap.tests.mischief import Mischief, hangs_up, silent

pytestmark = pytest.mark.anyio

BASE = "dc=hospital,dc=example"
RIGHT, WRONG_ONE = login(), login(secret=WRONG)


@pytest.mark.parametrize("keys", [{}, {"direct_bind": f"uid={{name}},{BASE}"}])
async def test_an_empty_passcode_is_refused_before_a_directory_is_asked(keys: dict[str, Any], decided: Decided) -> None:
    """By the authenticator itself: the chain would have refused it as well."""
    with Mischief(hangs_up) as server:
        keys |= {"servers": [server.url()], "base": BASE, "cleartext": True}
        assert await Ldap(**keys).authenticate(login(secret=b"")) == Reject("empty passcode")
        assert server.connections == 0
        (control,) = await decided(keys, login(secret=b"x"))
        assert isinstance(control, Unavailable)
        assert server.connections


async def test_no_bind_without_a_passcode(slapd: Slapd) -> None:
    """Not even if a directory were asked to."""
    anonymous = f"{slapd.plain}: a bind without a name or a passcode, which would be anonymous"
    async with Ldap(**slapd.keys()) as ldap:
        for name in ("alice", ""):
            with pytest.raises(Exception, match=anonymous):
                await ldap._servers().ask(partial(verify, name, ""))
        _, answer = await ldap._servers().ask(partial(verify, "alice", ALICE.decode()))
        assert (answer.user, answer.refusal) == ("alice", "")


async def verify(name: str, secret: str, directory: Directory, seconds: float) -> Answer:
    return await directory.verify(name, secret, seconds)


@pytest.mark.parametrize("identity", [None, username("alice"), kerberos(b"t"), saml("<a/>"), jwt("a.b.c")])
async def test_other_identities_are_not_its_to_judge(identity: Identity | None) -> None:
    ldap = Ldap(servers=["ldaps://127.0.0.1:1"], base=BASE)
    assert ldap.handles == {IdentityType.USERNAME_AND_PASSCODE}
    assert isinstance(await ldap.authenticate(attempt(identity)), Pass)


async def test_it_starts_without_a_directory_and_says_so(
    decided: Decided, slapd: Slapd, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = f"ldaps://{HOST}:{free_port()}"
    (decision,) = await decided(slapd.keys(servers=[nobody]), RIGHT)
    assert decision == Unavailable(f"{nobody}: Connection refused")
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"no directory can be asked; logins are unavailable until one can: {nobody}: Connection refused"]
    caplog.clear()
    (control,) = await decided(slapd.keys(), RIGHT)
    assert isinstance(control, Accept)
    assert not [record for record in caplog.records if record.name.startswith("dicomgate")]


async def test_a_second_server_steps_in(decided: Decided, slapd: Slapd) -> None:
    with Mischief(silent) as hangs:
        servers = [f"ldaps://{HOST}:{free_port()}", hangs.url(), slapd.tls]
        right, wrong = await decided(slapd.keys(servers=servers, deadline=timedelta(seconds=6)), RIGHT, WRONG_ONE)
        assert hangs.connections == 1
    assert isinstance(right, Accept)
    assert wrong == Reject("wrong passcode")
