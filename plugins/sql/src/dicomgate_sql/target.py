"""Which database, and how it is connected: an SQLite file or a PostgreSQL server.

Rule 1: no password in the configuration. It is in a file of its own, read for each new connection, so that a new one
        counts at once.
Rule 2: a server on another machine is spoken to with TLS, and its certificate is verified: who can answer in its place
        can let anybody in.
Rule 3: a database file that everybody may write is no authority; without an `update` it is opened for reading alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, NullPool, make_url
from sqlalchemy.exc import ArgumentError

from dicomgate import ConfigError
from dicomgate.kit.files import check_trusted, read_secret_text


@dataclass(frozen=True, slots=True)
class Target:
    """What an engine is made with. `check` raises ConfigError where the file must not be believed."""

    url: URL
    arguments: Mapping[str, Any] = field(repr=False)
    check: Callable[[], object]
    pool: Mapping[str, Any] = field(default_factory=dict)


def sqlite(file: Path, *, writes: bool, patience: float) -> Target:
    """An SQLite file. Raises ConfigError if it is missing or must not be believed."""
    check = partial(check_trusted, file)
    check()
    url = URL.create(
        "sqlite+aiosqlite",
        database=f"file:{quote(str(file.absolute()))}",
        query={"uri": "true", "mode": "rw" if writes else "ro"},  # SQLite would make a file that is missing
    )
    # Opened for each question: a file that was put in place of an old one counts at once.
    return Target(url, {"timeout": patience * 0.9}, check, {"poolclass": NullPool})


def postgresql(
    address: str, password_file: Path | None, ca: Path | None, *, cleartext: bool, connections: int, patience: float
) -> Target:
    """A PostgreSQL server. Raises ConfigError if the address, the password file or the CA is wrong."""
    url = _parsed(address)
    if find_spec("asyncpg") is None:
        raise ConfigError("url: PostgreSQL needs the package asyncpg: install dicomgate-sql[postgresql]")
    arguments: dict[str, Any] = {"timeout": patience, "server_settings": {"application_name": "dicomgate"}}
    if password_file is not None:
        read_password(password_file)
        arguments["password"] = lambda: read_password(password_file)
    arguments["ssl"] = False
    if ca is not None or not (cleartext or _is_here(url)):
        arguments["ssl"] = _verifying(ca)
    pool = {"pool_size": connections, "max_overflow": 0, "pool_pre_ping": True, "pool_use_lifo": True}
    return Target(url, arguments, lambda: None, pool)


def read_password(file: Path) -> str:
    """The password: the file's one line. Raises ConfigError."""
    try:
        return read_secret_text(file)
    except ConfigError as error:
        raise ConfigError(f"password_file: {error}") from None


def _parsed(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # not repeated: somebody may have written the password into it
        raise ConfigError("url: is no database address; write postgresql://user@host/database") from None
    if url.drivername not in ("postgresql", "postgresql+asyncpg"):
        raise ConfigError(f"url: {url.drivername!r} is unknown; known is postgresql. For SQLite, write file = ...")
    if url.password is not None or "password" in url.query:
        raise ConfigError("url: must not hold the password; write it into a file, and name that as password_file")
    if unknown := sorted(set(url.query) - {"host"}):
        raise ConfigError(f"url: has unknown parameters: {', '.join(unknown)}; known is: host")
    if not _hosts(url) or not url.database:
        raise ConfigError("url: must name the host and the database: postgresql://user@host/database")
    return url.set(drivername="postgresql+asyncpg")


def _hosts(url: URL) -> list[str]:
    named = url.query.get("host", ())
    return [*([url.host] if url.host else []), *([named] if isinstance(named, str) else named)]


def _is_here(url: URL) -> bool:
    """True if the server is on this machine: a socket file, or an address of the loopback."""
    return all(host.startswith("/") or host == "localhost" or _is_loopback(host) for host in _hosts(url))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _verifying(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ca: {ca}: cannot be used: {error.strerror or error}") from None
