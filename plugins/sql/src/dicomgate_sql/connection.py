"""How a database is connected: an SQLite file or a PostgreSQL server.

Rule 1: the password is not in the configuration. It is in a file of its own, read for each new connection, so that a
        new password counts at once.
Rule 2: the connection to a server on another machine uses TLS, and its certificate is verified: anybody who can answer
        in its place can let anybody in.
Rule 3: a database file that everybody may write is refused. Without an `update` the file is opened read-only.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from dicomgate import ConfigError
from dicomgate.kit.authorities import client_context
from dicomgate.kit.files import FileStamp, check_trusted, read_secret_text, trust_stamp

from .dialling import Dialler

_AS_TEXT = ("date", "timestamp", "timestamptz")
"""Types that are read as text: Python has no `infinity`, and no year before 1 or after 9999."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to connect: `engine` are options of SQLAlchemy's engine, `arguments` those of the driver.

    `for_each` gives more arguments for each new connection. `watched` is the file of a database that is one: questions
    are asked in threads, and open connections are given up when it has changed. Both raise ConfigError if a file must
    not be trusted.
    """

    url: URL
    arguments: Mapping[str, Any]
    engine: Mapping[str, Any]
    for_each: Callable[[], Mapping[str, str]] = field(repr=False, default=dict)
    watched: WatchedFile | None = None


class WatchedFile:
    """A database file that may be replaced, or be given other permissions. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError if it is missing or must not be trusted."""
        self._path = path
        self._seen: FileStamp = None
        self.check(lambda: None)

    def check(self, changed: Callable[[], object]) -> None:
        """Call `changed` if it has changed. Raises ConfigError if it is missing, or must not be trusted now."""
        stamp = trust_stamp(self._path)
        if stamp is None or stamp != self._seen:
            check_trusted(self._path)
            changed()
            self._seen = stamp


def sqlite(file: Path, *, writes: bool, timeout: float) -> Connection:
    """An SQLite file. Raises ConfigError if it is missing or must not be trusted."""
    url = URL.create(
        "sqlite+pysqlite",
        database=f"file:{quote(str(file.absolute()))}",
        query={"uri": "true", "mode": "rw" if writes else "ro"},  # otherwise SQLite creates a missing file
    )
    arguments = {"timeout": timeout * 0.9, "check_same_thread": False}
    return Connection(url, arguments, {}, watched=WatchedFile(file))


def postgresql(
    address: str, password_file: Path | None, ca: Path | None, *, cleartext: bool, connections: int, timeout: float
) -> Connection:
    """A PostgreSQL server. Raises ConfigError if the address, the password file or the CA is wrong."""
    url = _parsed(address)
    if find_spec("psycopg") is None:
        raise ConfigError("url: PostgreSQL needs the package psycopg: install dicomgate-sql[postgresql]")

    def password() -> Mapping[str, str]:
        try:
            return {} if password_file is None else {"password": read_secret_text(password_file)}
        except ConfigError as error:
            raise ConfigError(f"password_file: {error}") from None

    password()
    arguments = {
        "application_name": "dicomgate",
        "gssencmode": "disable",
        "prepare_threshold": None,  # a prepared statement fails once after a column has changed
        "context": _adapters(),
        "async_creator_fn": Dialler(timeout * 0.9).connect,
        "keepalives_idle": 60,
        **(_verified(ca) if ca is not None or not (cleartext or _is_here(url)) else {"sslmode": "disable"}),
    }
    pool = {"pool_size": connections, "max_overflow": 0, "pool_pre_ping": True, "pool_use_lifo": True}
    return Connection(url, arguments, {**pool, "use_native_hstore": False}, password)


def _adapters() -> object:
    from psycopg.adapt import AdaptersMap
    from psycopg.postgres import adapters
    from psycopg.types.string import TextLoader

    ours = AdaptersMap(adapters)
    for name in _AS_TEXT:
        ours.register_loader(name, TextLoader)
    return ours


def _parsed(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # not repeated: the address may contain the password
        raise ConfigError("url: is no database address; write postgresql://user@host/database") from None
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ConfigError(f"url: {url.drivername!r} is unknown; known is postgresql. For SQLite, write file = ...")
    if url.password is not None or "password" in url.query:
        raise ConfigError("url: must not hold the password; write it into a file, and name that as password_file")
    if unknown := sorted(set(url.query) - {"host"}):
        raise ConfigError(f"url: has unknown parameters: {', '.join(unknown)}; known is: host")
    if not _hosts(url) or not url.database:
        raise ConfigError("url: must name the host and the database: postgresql://user@host/database")
    return url.set(drivername="postgresql+psycopg")


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


def _verified(ca: Path | None) -> Mapping[str, str]:
    """TLS that verifies the server's certificate and its name; against the system's authorities if `ca` is None."""
    try:
        client_context(ca)
    except ConfigError as error:
        raise ConfigError(f"ca: {error}") from None
    # libpq may bring an OpenSSL of its own that looks for the system's authorities elsewhere: name their file.
    return {"sslmode": "verify-full", "sslrootcert": str(ca or ssl.get_default_verify_paths().cafile or "system")}
