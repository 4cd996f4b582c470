"""Whom a directory server must prove to be before anything is told to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dicomgate import Accept, Reject, Unavailable
from dicomgate.testing import ask, attempt, passcode
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.loopback import HOST
from dicomgate_ldap import Ldap
from plugins.ldap.tests.authorities import Authorities, Leaf
from plugins.ldap.tests.slapd import Slapd

RIGHT, WRONG_ONE = attempt(passcode("alice", ALICE)), attempt(passcode("alice", WRONG))


Restart = Callable[[Leaf], Slapd]


@pytest.fixture
def restarted(own_slapd: Slapd) -> Restart:
    """Give a function that starts the server anew with another certificate."""

    def restart(certificate: Leaf) -> Slapd:
        own_slapd.stop()
        own_slapd.start(certificate)
        return own_slapd

    return restart


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("of_other_ca", "unable to get local issuer certificate|self-signed certificate in certificate chain"),
        ("other_name", "IP address mismatch"),
        ("name_in_subject", "IP address mismatch"),
        ("expired", "certificate has expired"),
    ],
)
def test_a_wrong_certificate(restarted: Restart, authorities: Authorities, certificate: str, said: str) -> None:
    slapd = restarted(getattr(authorities, certificate))
    for keys in (
        slapd.keys(),
        slapd.keys(servers=[slapd.tls]),
        slapd.direct_keys(),
        slapd.direct_keys(servers=[slapd.tls]),
    ):
        for decision in ask(Ldap(**keys), RIGHT, WRONG_ONE):
            assert isinstance(decision, Unavailable)
            assert any(one in decision.reason for one in said.split("|")), decision.reason
            assert "its certificate is refused" in decision.reason
    restarted(authorities.good)
    assert [type(decision) for decision in ask(Ldap(**slapd.keys()), RIGHT, WRONG_ONE)] == [Accept, Reject]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_authorities_of_the_system(
    slapd: Slapd, authorities: Authorities, monkeypatch: pytest.MonkeyPatch, variable: str, tmp_path: Path
) -> None:
    """Those that Python's ssl knows; without `ca` they and nobody else are trusted."""
    folder = {"known": tmp_path / "known", "other": tmp_path / "other"}
    for name, ca in (("known", authorities.ca), ("other", authorities.other_ca)):
        folder[name].mkdir()
        (folder[name] / "ca.pem").write_bytes(ca.read_bytes())
    decisions = []
    for name in ("known", "other"):
        file = folder[name] / ("ca.pem" if variable == "SSL_CERT_FILE" else "no such file")
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        monkeypatch.setenv("SSL_CERT_DIR", str(folder[name]))
        decisions += ask(Ldap(**slapd.keys(ca=None)), RIGHT)
    accepted, refused = decisions
    assert isinstance(accepted, Accept)
    assert isinstance(refused, Unavailable)
    assert "its certificate is refused" in refused.reason


def test_what_the_environment_says_to_libldap_is_not_heard(
    restarted: Restart, authorities: Authorities, monkeypatch: pytest.MonkeyPatch
) -> None:
    slapd = restarted(authorities.name_in_subject)
    for name, value in (("LDAPTLS_REQCERT", "never"), ("LDAPTLS_REQSAN", "never"), ("LDAPURI", f"ldap://{HOST}:1")):
        monkeypatch.setenv(name, value)
    (decision,) = ask(Ldap(**slapd.keys()), RIGHT)
    assert isinstance(decision, Unavailable)
    restarted(authorities.good)
    (control,) = ask(Ldap(**slapd.keys()), RIGHT)
    assert isinstance(control, Accept)
