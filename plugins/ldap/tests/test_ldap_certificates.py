"""What a directory server must prove before anything is sent to it."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomgate import Accept, Reject, Unavailable
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.certificates import Certificates, Leaf
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.peers.slapd import Slapd
from dicomgate_ldap import Ldap
from plugins.ldap.tests.conftest import Decided, login
from plugins.ldap.tests.mischief import Mischief

pytestmark = pytest.mark.anyio

RIGHT, WRONG_ONE = login(), login(secret=WRONG)
Restart = Callable[[Leaf], Slapd]


@pytest.fixture
def restarted(own_slapd: Slapd) -> Restart:
    """Give a function that starts the server anew with another certificate."""

    def restart(certificate: Leaf) -> Slapd:
        own_slapd.restart(certificate)
        return own_slapd

    return restart


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("other authority", "the authority that issued it is not in "),
        ("other name", "IP address mismatch, certificate is not valid for '127.0.0.1': only its alternative names"),
        ("name in the subject", "only its alternative names count, not its subject; connect by one that it has"),
        ("expired", "certificate has expired, or that of its authority: renew it"),
    ],
)
async def test_a_wrong_certificate(
    restarted: Restart, decided: Decided, certificates: Certificates, certificate: str, said: str
) -> None:
    slapd = restarted(certificates.wrong[certificate])
    for make in (slapd.keys, slapd.direct_keys):
        for servers in ([slapd.plain], [slapd.tls]):
            for decision in await decided(make(servers=servers), RIGHT, WRONG_ONE):
                assert isinstance(decision, Unavailable)
                assert said in decision.reason
                assert "its certificate is refused" in decision.reason
    restarted(certificates.server)
    assert [type(decision) for decision in await decided(slapd.keys(), RIGHT, WRONG_ONE)] == [Accept, Reject]


@pytest.mark.parametrize(
    ("scheme", "other", "cleartext", "said"),
    [
        ("ldaps", "plain", False, "with StartTLS: ldap://127.0.0.1:"),
        ("ldap", "tls", False, "it does not answer StartTLS with success; if on port"),
        ("ldap", "tls", True, "it closes the connection; if on port"),
    ],
)
async def test_the_port_of_another_kind_of_connection(
    slapd: Slapd, decided: Decided, scheme: str, other: str, cleartext: bool, said: str
) -> None:
    port = getattr(slapd, other).rpartition(":")[2]
    (decision,) = await decided(slapd.keys(servers=[f"{scheme}://{HOST}:{port}"], cleartext=cleartext), RIGHT)
    assert isinstance(decision, Unavailable)
    assert said in decision.reason


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_the_authorities_of_the_system(
    slapd: Slapd,
    decided: Decided,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    tmp_path: Path,
) -> None:
    """Those that Python's ssl knows; without `ca` they alone are trusted."""
    decisions = []
    for name, ca in (("known", certificates.ca), ("other", certificates.other_ca)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "ca.pem").write_bytes(ca.read_bytes())
        if variable == "SSL_CERT_DIR":
            # Where OpenSSL looks for a certificate in a folder: by the hash of its subject.
            subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / ("ca.pem" if variable == "SSL_CERT_FILE" else "no such file")))
        monkeypatch.setenv("SSL_CERT_DIR", str(folder))
        decisions += await decided(slapd.keys(ca=None), RIGHT)
    accepted, refused = decisions
    assert isinstance(accepted, Accept)
    assert isinstance(refused, Unavailable)
    assert "its certificate is refused" in refused.reason


async def test_a_renewed_file_of_authorities_counts_without_a_restart(
    slapd: Slapd, certificates: Certificates, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificates.other_ca.read_bytes())
    async with Ldap(**slapd.keys(ca=ca)) as ldap:
        assert isinstance(await ldap.authenticate(RIGHT), Unavailable)
        ca.write_bytes(certificates.ca.read_bytes())
        assert isinstance(await ldap.authenticate(RIGHT), Accept)


async def test_tls_1_1_is_not_spoken(decided: Decided, slapd: Slapd, certificates: Certificates) -> None:
    for newest, accepted in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server.certificate, certificates.server.key)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
        shaken: list[bool] = []

        def converse(client: socket.socket, context: ssl.SSLContext = context, shaken: list[bool] = shaken) -> None:
            with context.wrap_socket(client, server_side=True) as server:
                shaken.append(bool(server.recv(65536)))

        with Mischief(converse) as server:
            (decision,) = await decided(slapd.keys(servers=[server.url("ldaps")]), RIGHT)
        assert isinstance(decision, Unavailable)
        assert ("no TLS: " in decision.reason) is not accepted
        assert bool(shaken) is accepted


async def test_ldap_conf_and_the_environment_of_libldap_change_nothing(slapd: Slapd, tmp_path: Path) -> None:
    """In another process, since libldap reads them when it is loaded; `never` is what it made of them."""
    conf = tmp_path / "ldap.conf"
    conf.write_text(f"URI ldap://{HOST}:1\nTLS_REQCERT never\nREFERRALS on\nSIZELIMIT 1\nDEREF always\n")
    environment = {**os.environ, "LDAPCONF": str(conf), "LDAPTLS_REQCERT": "never", "LDAPURI": f"ldap://{HOST}:1"}
    keys = {**slapd.keys(), "ca": str(slapd.ca), "bind_password_file": str(slapd.service_file), "deadline": 20}
    for ca in (slapd.ca, Path(str(slapd.ca).replace("ca.pem", "other-ca.pem"))):
        program = _PROGRAM.format(keys={**keys, "ca": str(ca)}, secret=ALICE.decode())
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout.split() == ["never", "Accept" if ca == slapd.ca else "Unavailable"], done.stderr


_PROGRAM = """
import asyncio, ldap
from datetime import timedelta
from pathlib import Path
from dicomgate.testing import attempt, passcode
from dicomgate_ldap import Ldap
keys = {keys!r}
keys |= dict(ca=Path(keys["ca"]), bind_password_file=Path(keys["bind_password_file"]), deadline=timedelta(seconds=20))
print({{ldap.OPT_X_TLS_NEVER: "never"}}.get(ldap.get_option(ldap.OPT_X_TLS_REQUIRE_CERT)))
print(type(asyncio.run(Ldap(**keys).authenticate(attempt(passcode("alice", {secret!r}))))).__name__)
"""
