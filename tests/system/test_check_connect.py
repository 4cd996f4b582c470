"""`dicomgate check --connect` asks everything that a login depends on, and says of each whether it answers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dicomgate.state.redis_words import ACL
from dicomgate.testing.commandline import dicomgate, logging_as_it_was
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import free_port
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.redis import run_redis

TABLES = """
[state]
url = "redis://127.0.0.1:{closed}/0"
[[listener]]
name = "clinical"
bind = "127.0.0.1:0"
cleartext_passcodes = true
[[upstream]]
name = "pacs"
address = "127.0.0.1:{closed}"
called_ae_titles = ["PACS"]
[[authenticator]]
use = "ldap"
servers = ["ldap://127.0.0.1:{closed}"]
cleartext = true
base = "dc=example"
[[authenticator]]
use = "radius"
servers = ["127.0.0.1:{closed}"]
secret_file = "secret"
[[authenticator]]
use = "jwt"
issuer = "https://issuer.example"
audience = "gate"
jwks_url = "https://127.0.0.1:{closed}/keys"
[[authenticator]]
use = "introspection"
url = "https://127.0.0.1:{closed}/introspect"
client_id = "gate"
client_secret_file = "secret"
[[authenticator]]
use = "saml"
issuer = "https://provider.example"
entity_id = "gate"
metadata_url = "https://127.0.0.1:{closed}/metadata"
unsigned_metadata = true
[[authenticator]]
use = "sql"
name = "server"
url = "postgresql://gate@127.0.0.1:{closed}/users"
select = "SELECT hash FROM users WHERE name = :name"
[[authenticator]]
use = "sql"
name = "file"
file = "users.sqlite"
select = "SELECT hash FROM users WHERE name = :name"
"""
SECRET = "canary-secret-of-the-gate"


def check(folder: Path, text: str, status: int) -> tuple[list[str], list[str]]:
    (folder / "gate.toml").write_text(text)
    with logging_as_it_was():
        result = dicomgate("check", "--connect", "--config", folder / "gate.toml")
    assert result.exit_code == status, result.output
    assert SECRET not in result.output
    problems = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    return result.stdout.splitlines(), problems


def test_what_cannot_be_reached_is_told_with_its_address_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text(SECRET)
    with sqlite3.connect(tmp_path / "users.sqlite") as database:
        database.execute("CREATE TABLE users (name TEXT, hash TEXT)")
    database.close()
    closed = free_port()
    told, problems = check(tmp_path, TABLES.format(closed=closed), 3)
    assert f"authenticator file: database {tmp_path}/users.sqlite: answers" in told, "the control"
    expected = (
        f"authenticator ldap: directory ldap://127.0.0.1:{closed}: ",
        f"authenticator radius: RADIUS server 127.0.0.1:{closed}: ",
        "authenticator jwt: the keys of https://issuer.example: ",
        f"authenticator introspection: introspection server https://127.0.0.1:{closed}/introspect: ",
        "authenticator saml: the metadata of https://provider.example: ",
        f"authenticator server: database postgresql://gate@127.0.0.1:{closed}/users: ",
        f"state: redis://127.0.0.1:{closed}/0: ",
        f"upstream pacs: cannot be reached: 127.0.0.1:{closed}: Connection refused",
    )
    assert len(problems) == len(expected), problems
    for line, begin in zip(problems, expected, strict=True):
        assert line.startswith(begin)
        assert str(closed) in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"user": f"gate on >{SECRET} {ACL}"}, None),
        ({"user": f"gate on >{SECRET} {ACL} -zadd"}, "its ACL forbids this user the command zadd. Allow all of: "),
        (
            {"user": f"gate on >{SECRET} {ACL} -pexpire"},
            "its ACL forbids this user the command pexpire. Allow all of: ",
        ),
        ({"user": f"gate on >{SECRET} {ACL}", "replicaof": "127.0.0.1 1"}, "it is a replica, which cannot be written"),
    ],
)
def test_a_state_that_can_be_read_but_not_written_does_not_pass(
    tmp_path: Path, options: dict[str, str], says: str | None
) -> None:
    (tmp_path / "users").touch(mode=0o600)
    with run_redis(tmp_path, options) as redis, PynetdicomPacs() as pacs:
        text = TABLES[: TABLES.index("[[authenticator]]")].format(closed=pacs.address[1])
        url = redis.url.replace("//", f"//gate:{SECRET}@")
        text = text.replace(f"redis://127.0.0.1:{pacs.address[1]}/0", url)
        text += '[[authenticator]]\nuse = "passcode"\nfile = "users"\n'
        (tmp_path / "gate.toml").touch(mode=0o600)
        told, problems = check(tmp_path, text, 0 if says is None else 3)
        assert redis.command("keys", "*").strip() == "", "nothing of the check stays"
    assert ("state: answers" in told) == (says is None)
    assert [one for one in problems if one.startswith(f"state: {redis.url}: {says}")] == problems


@pytest.mark.parametrize("tls", [False, True])
def test_an_upstream_answers_a_c_echo_and_shows_its_certificate(
    tmp_path: Path, certificates: Certificates, tls: bool
) -> None:
    (tmp_path / "users").touch(mode=0o600)
    with PynetdicomPacs(tls=certificates.server_context() if tls else None) as pacs:
        text = TABLES[TABLES.index("[[listener]]") : TABLES.index("[[authenticator]]")].format(closed=pacs.address[1])
        text += f'tls = {{ ca = "{certificates.ca}" }}\n' if tls else ""
        told, problems = check(tmp_path, text + '[[authenticator]]\nuse = "passcode"\nfile = "users"\n', 0)
    assert problems == []
    assert told[-1].startswith("upstream pacs: reached, a C-ECHO from DICOMGATE to PACS is answered with status 0000H")
    assert ("; its certificate: CN=server," in told[-1]) == tls
    assert pacs.echoes == 1
