"""What each authenticator is given, and what its clients send: the contestants of `logins`.

Their servers, users and tokens are those of the authenticators' own tests.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from dicomgate.contract import Identity
from dicomgate.testing import jwt, kerberos, passcode, saml
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.kdc import SERVICE
from dicomgate.testing.peers.certificates import make_certificates
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate_passcode import make_hash

from .messages import ECHO, IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION

Requests = Callable[[int], Iterable[bytes]]
"""So many A-ASSOCIATE-RQs, made before any is sent; without an end where one may be sent again."""


@dataclass(frozen=True, slots=True)
class Login:
    """An authenticator: its table of the configuration, and the logins that it accepts."""

    table: dict[str, Any]
    requests: Requests


def request(identity: Identity) -> bytes:
    """An A-ASSOCIATE-RQ for Verification with this identity."""
    context = ProposedContext(1, VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,))
    return AssociateRequest("PACS", ECHO, (context,), identity=identity).encode()


_SAME = repeat(request(passcode("alice", ALICE)))


def _again(**table: Any) -> Login:
    return Login(table, lambda count: _SAME)


def _fresh(make: Callable[[], Identity], **table: Any) -> Login:
    return Login(table, lambda count: [request(make()) for _ in range(count)])


def trivial(folder: Path, stack: ExitStack) -> Login:
    """Everybody is accepted, whatever they send."""
    return _again(use="bench-trivial")


def users_file(folder: Path, stack: ExitStack) -> Login:
    """An htpasswd file; hashes as `dicomgate passcode add` makes them."""
    return _again(use="passcode", file=write_users(folder, {"alice": make_hash(ALICE)}))


def sqlite(folder: Path, stack: ExitStack) -> Login:
    """A table in a file of SQLite, with the same hashes."""
    from plugins.sql.tests.backend import SELECT, TABLE

    file = folder / "users.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(TABLE)
        connection.execute("INSERT INTO users VALUES ('alice', ?, NULL, NULL)", (make_hash(ALICE),))
    file.chmod(0o600)
    return _again(use="sql", file=file, select=SELECT)


def postgresql(folder: Path, stack: ExitStack) -> Login:
    """The same table in PostgreSQL."""
    from dicomgate.testing.peers.postgresql import PASSWORD, USER, run_postgresql
    from plugins.sql.tests.backend import SELECT, TABLE

    server = stack.enter_context(run_postgresql(make_certificates(folder)))
    server.execute(f"{TABLE}; GRANT SELECT ON users TO {USER}")
    server.execute(f"INSERT INTO users VALUES ('alice', '{make_hash(ALICE)}', NULL, NULL)")  # noqa: S608
    secret = _secret(folder / "database.password", PASSWORD.encode())
    return _again(use="sql", url=server.url, password_file=secret, select=SELECT)


def ldap(folder: Path, stack: ExitStack, **keys: Any) -> Login:
    """OpenLDAP over StartTLS: the gateway looks for the user, and binds."""
    from dicomgate.testing.peers.slapd import run_slapd

    server = stack.enter_context(run_slapd(folder, make_certificates(folder)))
    return _again(use="ldap", **server.keys(groups="none"), **keys)


def ldap_remembering(folder: Path, stack: ExitStack) -> Login:
    """The same; a passcode that the directory has accepted is remembered."""
    return ldap(folder, stack, remember="10m")


def radius(folder: Path, stack: ExitStack, **keys: Any) -> Login:
    """FreeRADIUS with a file of users."""
    from dicomgate.testing.peers.freeradius import SECRET, FreeRadius

    server = stack.enter_context(FreeRadius(folder / "raddb"))
    secret = _secret(folder / "radius.secret", SECRET)
    return _again(use="radius", servers=[server.address], secret_file=secret, **keys)


def radius_remembering(folder: Path, stack: ExitStack) -> Login:
    """The same; a passcode that the server has accepted is remembered."""
    return radius(folder, stack, remember="10m")


def jwt_rs256(folder: Path, stack: ExitStack) -> Login:
    """A token of a 2048-bit RSA key for each login, verified with a file of keys."""
    return _jwt(folder, "RSA")


def jwt_es256(folder: Path, stack: ExitStack) -> Login:
    """The same with a key on P-256."""
    return _jwt(folder, "P256")


def _jwt(folder: Path, name: str) -> Login:
    from plugins.jwt.tests import mint

    key = getattr(mint, name)
    file = mint.written(folder / "keys.json", mint.key_set(key))
    return _fresh(
        lambda: jwt(mint.mint(key, jti=secrets.token_hex(8))),
        use="jwt", issuer=mint.ISSUER, audience=mint.AUDIENCE, jwks_file=file,
    )  # fmt: skip


def saml_assertions(folder: Path, stack: ExitStack) -> Login:
    """An assertion that is signed with a 2048-bit RSA key for each login."""
    from plugins.saml.tests import mint

    return _fresh(lambda: saml(mint.mint()), **mint.table(folder))


def kerberos_tickets(folder: Path, stack: ExitStack) -> Login:
    """A ticket with AES-256 for each login, as a KDC would issue it."""
    from plugins.kerberos.tests import craft

    key = craft.new_key()
    keytab = craft.write_keytab(folder / "gateway.keytab", (SERVICE, 1, key))
    return _fresh(
        lambda: kerberos(craft.FORMS["gss"](craft.ap_req(key))),
        use="kerberos", keytab=keytab, principal=SERVICE, replay_cache=folder / "replays",
    )  # fmt: skip


def write_users(folder: Path, hashes: dict[str, str]) -> Path:
    """An htpasswd file with these users."""
    lines = "".join(f"{name}:{text}\n" for name, text in hashes.items())
    return _secret(folder / "users.htpasswd", lines.encode())


def _secret(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path
