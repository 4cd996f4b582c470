"""The acceptor's matrix with crafted AP-REQs, and real ones of a KDC; each in the forms in which it can come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gssapi
import pytest

from dicomgate import Accept, Pass, Reject
from dicomgate.testing.kdc import OTHER_SERVICE, REALM, SERVICE, Kdc
from dicomgate_kerberos import Kerberos, gss
from dicomgate_kerberos.errors import KerberosError
from plugins.kerberos.tests.conftest import Make, accepted, ask
from plugins.kerberos.tests.craft import ALICE, FORMS, ap_req, tlv
from plugins.kerberos.tests.initiator import MUTUAL, SPNEGO, Gss, Raw
from plugins.kerberos.tests.matrix import CURRENT, GSS_ALONE, KEYS, MATRIX, PASSED_ON, Row


def made(row: Row) -> bytes:
    while time.time() % 1 > 0.8:  # the rows differ by seconds: make no token at the end of one
        time.sleep(0.01)
    return row[1]()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [*MATRIX, *PASSED_ON, *GSS_ALONE])
def test_the_matrix(crafted: Kerberos, name: str, form: str) -> None:
    row = reason, _ = {**MATRIX, **PASSED_ON, **GSS_ALONE}[name]
    decision = ask(crafted, FORMS[form](made(row)))
    if reason and (name not in GSS_ALONE or form != "raw"):  # libkrb5 does not read the checksum of a raw AP-REQ
        assert isinstance(decision, Pass if name in PASSED_ON else Reject)
        assert decision.reason.startswith(reason)
    else:
        assert isinstance(decision, Accept)
        assert decision.user == ALICE
    # The positive control: a good one is accepted after it.
    assert accepted(crafted, FORMS[form](made(MATRIX["good"])))


@pytest.mark.parametrize(("skew", "clock"), [("", 300), ("clockskew = 60", 60), ("clockskew = 1000", 1000)])
@pytest.mark.parametrize("form", FORMS)
def test_the_skew_is_krb5_confs(
    kerberos: Make, crafted_keytab: Path, set_default: Callable[[str], None], skew: str, clock: int, form: str
) -> None:
    set_default(skew)
    judge = kerberos(keytab=crafted_keytab)
    # A ticket that ended within the skew ends before it begins. libkrb5 accepts it; the gateway, which looks at
    # `expires_at`, does not.
    for ends in (20 - clock, 600):
        before = datetime.now(UTC)
        accept = accepted(judge, FORMS[form](ap_req(CURRENT, version=3, at=clock - 10, ends=ends)))
        assert accept.expires_at is not None
        assert abs(accept.expires_at - before - timedelta(seconds=ends)) < timedelta(seconds=5)
    # The token is remembered for longer than any gateway could accept it: three times the skew, as the page says.
    assert accept.once is not None
    remembered = timedelta(seconds=3 * clock)
    assert before + remembered <= accept.once.until <= datetime.now(UTC) + remembered
    late = ask(judge, FORMS[form](ap_req(CURRENT, version=3, at=clock + 10)))
    assert isinstance(late, Reject)


def test_the_answer_comes_in_the_form_of_the_question(kerberos: Make) -> None:
    judge = kerberos()
    clients: list[Gss | Raw] = [Gss(), Gss(mechanism=SPNEGO), Raw()]
    answers = [accepted(judge, client.token).server_response or b"" for client in clients]
    assert answers[-1][0] == 0x6F
    assert not clients[-1].verify(answers[-1][:-1] + bytes((answers[-1][-1] ^ 1,)))
    assert all(client.verify(answer) for client, answer in zip(clients, answers, strict=True))
    for client in (Raw(mutual=False), Gss(flags=[gssapi.RequirementFlag.integrity])):
        assert accepted(judge, client.token).server_response is None  # that client asked for none


def test_users_of_the_kdc(kerberos: Make, kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, stripped = kerberos(), kerberos(strip_realms=[REALM])
    for user in ("alice", "zoe"):
        monkeypatch.setenv("KRB5CCNAME", f"FILE:{kdc.folder}/{user}")
        for authenticator, name in ((judge, f"{user}@{REALM}"), (stripped, user)):
            accept = accepted(authenticator, Gss().token)
            assert accept.user == name
            assert accept.attributes == {"principal": f"{user}@{REALM}"}
            assert accept.groups == frozenset()
        assert ask(judge, Gss(OTHER_SERVICE).token) == Pass(f"the ticket is for {OTHER_SERVICE}, not for {SERVICE}")


def test_another_realm_that_is_allowed(kerberos: Make, crafted_keytab: Path) -> None:
    judge = kerberos(keytab=crafted_keytab, realms=[REALM, "ELSEWHERE.EXAMPLE"], strip_realms=[REALM])
    row = MATRIX["a user of another realm"]
    for form in FORMS.values():
        users = [ask(judge, form(made(one))) for one in (row, MATRIX["good"])]
        assert [isinstance(one, Accept) and one.user for one in users] == ["alice@ELSEWHERE.EXAMPLE", "alice"]


def test_a_delegated_credential_is_not_kept(kerberos: Make, kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = f"FILE:{kdc.folder}/forwardable"
    kdc.log_in("alice", cache="forwardable", options=["-f"])
    monkeypatch.setenv("KRB5CCNAME", cache)
    kept: list[gssapi.SecurityContext] = []
    step = gss._Context.step

    def kept_step(context: gssapi.SecurityContext, token: bytes) -> Any:
        kept.append(context)
        return step(context, token)

    monkeypatch.setattr(gss._Context, "step", kept_step)
    judge = kerberos()
    plain, delegating = Gss(), Gss(flags=[MUTUAL, gssapi.RequirementFlag.delegate_to_peer])
    assert len(delegating.token) > len(plain.token) + 500
    files = set(kdc.folder.iterdir())
    for client in (plain, delegating):
        assert client.verify(accepted(judge, client.token).server_response)
    # The library has it as long as its context lives, which is no longer than the login.
    assert [context.delegated_creds is not None for context in kept] == [False, True]
    assert set(kdc.folder.iterdir()) == files
    assert sys.getrefcount(kept[1]) <= 3


@pytest.mark.parametrize("damaged", ["replayed", "flipped"])
def test_errors_that_python_gssapi_keeps_back_are_raised(kerberos: Make, damaged: str) -> None:
    """Its `step` returns a KRB-ERROR to send, as if all were well, unless told not to."""
    judge = kerberos()
    credentials = judge.acceptor._loaded.current().credentials
    token = Gss().token
    if damaged == "replayed":
        gss.accept(token, credentials, 300)
    else:
        token = token[:-1] + bytes((token[-1] ^ 1,))
    with pytest.raises(KerberosError, match="a replay" if damaged == "replayed" else "another key"):
        gss.accept(token, credentials, 300)
    # The positive control: python-gssapi's own class defers the error.
    deferring = gssapi.SecurityContext(creds=credentials, usage="accept")
    assert isinstance(deferring.step(token), bytes)
    with pytest.raises(gssapi.exceptions.GSSError):
        gss._Context(creds=credentials, usage="accept").step(token)


def test_nothing_less_than_a_whole_context_of_kerberos(kerberos: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = kerberos()
    for name, value, words in (("complete", False, "not complete"), ("mech", SPNEGO, "not Kerberos")):
        with monkeypatch.context() as patched:
            patched.setattr(gss._Context, name, value)
            decision = ask(judge, Gss().token)
        assert isinstance(decision, Reject)
        assert words in decision.reason
        assert accepted(judge, Gss().token)


def test_a_principal_that_is_not_text(crafted: Kerberos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.kerberos.tests.craft.text", lambda value: tlv(0x1B, value.encode("latin-1")))
    for form in FORMS.values():
        decision = ask(crafted, form(ap_req(CURRENT, version=3, client=f"zo\xeb@{REALM}")))
        assert decision == Reject("its name is empty, too long, or has characters that are not accepted")


def test_no_key_but_the_services_own_is_given_to_libkrb5(crafted: Kerberos) -> None:
    held = Path(crafted.acceptor.keys.removeprefix("FILE:")).read_bytes()
    for principal, _, key in KEYS:
        assert (key.value in held) == (principal == SERVICE and key.encryption in (17, 18))
    assert not any(key.value.hex() in repr(crafted) + repr(crafted.acceptor.entries) for _, _, key in KEYS)
