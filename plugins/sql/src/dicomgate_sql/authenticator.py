"""`use = "sql"`: User-Identity-Type 2, judged by a row of a database (PS3.7 D.3.3.7.1).

Rule 1: an empty passcode is refused before anything is asked.
Rule 2: unknown, disabled, without a hash, wrong passcode: the same answer after the same work and the same time.
Rule 3: "could not look" is never "wrong": whatever the database does, the answer is Unavailable, in time.
Rule 4: a login succeeds or fails on what the database says; that a better hash cannot be written changes nothing.

It is asynchronous, with a few threads for hashes: most of what it waits for is the database, and waiting takes no
thread. A database that hangs holds none of those that hash, and as many hashes are computed at a time as there are
cores for them, however many logins wait for an answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from sqlalchemy import TextClause

from dicomgate import Accept, Attempt, ConfigError, Decision, Identity, IdentityType, Pass, Reject, Unavailable
from dicomgate_passcode import DummyHash, HashingFailedError, cannot_be_right, make_hash, verify

from .account import Account, column_problem, read_account
from .database import Database
from .failure import CouldNotLookError
from .hashing import HashingThreads
from .pace import Pace
from .statement import select_statement, update_statement
from .target import Target, postgresql, sqlite

_log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 100


@dataclass(kw_only=True, eq=False)
class Sql:
    """Users and passcodes of a SQL database: of an SQLite file, or of a PostgreSQL server.

    Raises ConfigError if a statement, the address or a file is wrong. That the database is down is no such error: it
    is asked for each login anew.
    """

    select: str
    """The statement that asks for the user `:name`. Its columns: `hash`, and if wanted `name`, `groups`, `disabled`."""

    file: Path | None = None
    """The SQLite file; instead of `url`."""

    url: str | None = None
    """The PostgreSQL server, `postgresql://user@host/database`; instead of `file`. It must not hold the password."""

    password_file: Path | None = None
    """The file that holds the password for the server, in one line."""

    ca: Path | None = None
    """The CA certificates, PEM, of which one has issued the server's; the system's if there is no such key."""

    cleartext: bool = False
    """True: a server on another machine is spoken to without TLS."""

    update: str | None = None
    """The statement that renews an outdated hash at login, with `:name`, `:hash` and `:old_hash`."""

    connections: int = 5
    """At most so many connections to the database."""

    database_timeout: timedelta = timedelta(seconds=1)
    """How long the database may take for an answer, a new connection included."""

    unknown_user: Literal["reject", "pass"] = "reject"
    """What becomes of a user who is not in the database: "reject", or "pass" to let the next authenticator look."""

    handles: frozenset[IdentityType] = field(init=False, repr=False)
    _select: TextClause = field(init=False, repr=False)
    _update: TextClause | None = field(init=False, repr=False)
    _target: Target = field(init=False, repr=False)
    _pace: Pace = field(init=False, repr=False)
    _database: Database = field(init=False, repr=False)
    _threads: HashingThreads = field(init=False, repr=False)
    _afterwards: set[asyncio.Task[None]] = field(init=False, repr=False, default_factory=set)
    _renewal_failed: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        self.handles = frozenset({IdentityType.USERNAME_AND_PASSCODE})
        if not 1 <= self.connections <= _MOST_CONNECTIONS:
            raise ConfigError(f"connections: must be from 1 to {_MOST_CONNECTIONS}")
        if not self.database_timeout:
            raise ConfigError("database_timeout: no time at all would refuse everybody")
        self._select = select_statement(self.select)
        self._update = None if self.update is None else update_statement(self.update)
        self._target = self._make_target()
        try:
            self._pace = Pace()
        except HashingFailedError:
            raise ConfigError("there is no memory for a hash") from None

    def _make_target(self) -> Target:
        patience = self.database_timeout.total_seconds()
        if self.ca is not None and self.cleartext:
            raise ConfigError("ca and cleartext contradict each other")
        if self.url is not None and self.file is None:
            return postgresql(
                self.url,
                self.password_file,
                self.ca,
                cleartext=self.cleartext,
                connections=self.connections,
                patience=patience,
            )
        if self.file is not None and self.url is None:
            return sqlite(self.file, writes=self.update is not None, patience=patience)
        raise ConfigError("one of file (SQLite) and url (PostgreSQL) is needed, and only one")

    async def __aenter__(self) -> Sql:
        self._threads = HashingThreads()
        patience = self.database_timeout.total_seconds()
        self._database = Database(self._target, connections=self.connections, patience=patience)
        try:
            await self._look_up("")  # for the log alone: nobody has to wait for a login to learn that it cannot work
        except CouldNotLookError as error:
            _log.error("sql: nobody can log in for now: %s", error)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._afterwards:
            _, late = await asyncio.wait(self._afterwards, timeout=self.database_timeout.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._database.close()
        self._threads.close()

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt."""
        identity = attempt.identity
        if identity is None or identity.type not in self.handles:
            return Pass("not a username with a passcode")
        if not identity.secondary:
            return Reject("empty passcode")
        start = time.monotonic()
        try:
            decision = await self._judge(identity)
        except CouldNotLookError as error:
            return Unavailable(str(error))
        await asyncio.sleep(self._pace.seconds_left(start))
        return decision

    async def _judge(self, identity: Identity) -> Decision:
        passcode = identity.secondary
        account = await self._look_up(_name(identity))
        wrong = await self._threads.run(_what_is_wrong, account, passcode, self._pace.dummy)
        if account is None:
            return Pass(wrong) if self.unknown_user == "pass" else Reject(wrong)
        if account.cost is not None and self._pace.is_new(account.cost):
            self._later(self._learn())
        if wrong:
            return Reject(wrong)
        if self._update is not None and account.cost is not None and account.cost.outdated:
            self._later(self._renew(self._update, account, passcode))
        return Accept(user=account.name, groups=account.groups)

    async def _look_up(self, name: str) -> Account | None:
        start = time.monotonic()
        answer = await self._database.ask(self._select, name=name)
        self._pace.looked_up(time.monotonic() - start)
        if problem := column_problem(answer.columns):
            raise CouldNotLookError(f"select: {problem}")
        return read_account(name, answer.rows)

    async def _learn(self) -> None:
        with suppress(CouldNotLookError):
            await self._threads.run(self._pace.learn)

    async def _renew(self, update: TextClause, account: Account, passcode: bytes) -> None:
        """Replace an outdated hash, now that the passcode is here and known to be right."""
        try:
            text = await self._threads.run(make_hash, passcode)
            answer = await self._database.ask(update, name=account.name, hash=text, old_hash=account.hash)
        except CouldNotLookError as error:
            if not self._renewal_failed:
                self._renewal_failed = True
                _log.warning("sql: outdated hashes cannot be renewed at login: %s", error)
            return
        self._renewal_failed = False
        if answer.changed:
            _log.info("sql: the hash of user %r is now argon2id", account.name)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this without letting the one who logs in wait for it."""
        task = asyncio.create_task(work)
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)


def _name(identity: Identity) -> str:
    """The claimed name; one that no database can be asked for becomes the empty name, which no user has."""
    try:
        name = identity.primary.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in name else name


def _what_is_wrong(account: Account | None, passcode: bytes, dummy: DummyHash) -> str:
    """Why this is no login; empty if it is one. Costs one verification in any case. Raises HashingFailedError."""
    if account is None or account.cost is None:
        dummy.verify(passcode)
        return "unknown user" if account is None else f"the user cannot log in: {account.problem}"
    if refusal := cannot_be_right(passcode, account.cost.scheme):
        dummy.verify(passcode)
        return refusal
    return "" if verify(passcode, account.hash) else "wrong passcode"
