"""`use = "sql"`: User-Identity-Type 2, checked against a row of a database (PS3.7 D.3.3.7.1).

Rule 1: an empty passcode is refused before the database is asked.
Rule 2: an unknown user, a disabled user, a missing hash and a wrong passcode get the same answer, after the same work
        and the same time.
Rule 3: a database that fails is never "wrong passcode": the answer is Unavailable, in time.
Rule 4: only the database decides a login. If an outdated hash cannot be renewed, the login succeeds all the same.

It is asynchronous, with a few threads for hashes. Waiting for the database takes no thread, so a database that hangs
holds up no verification, and only as many hashes are computed at a time as there are cores for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, ParamSpec, TypeVar

from sqlalchemy import TextClause

from dicomgate import Accept, Attempt, ConfigError, Decision, Identity, IdentityType, Pass, Probed, Reject, Unavailable
from dicomgate.kit.credentials import name_of
from dicomgate.kit.patience import compared
from dicomgate.kit.threads import ComputingThreads
from dicomgate.kit.verified import Verified
from dicomgate_passcode import Cost, DummyHash, HashingFailedError, make_hash

from .account import Account, column_problem, read_account, refusal_of
from .connection import Connection, postgresql, sqlite
from .database import Database, UnavailableError
from .equal_time import EqualTime
from .statement import statement

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_MOST_CONNECTIONS = 100


@dataclass(kw_only=True, eq=False)
class Sql:
    """The users of an SQLite file or a PostgreSQL server, which may be down now. Raises ConfigError for wrong keys."""

    select: str
    """The statement that asks for the user `:name`. Columns: `hash`; optional: `name`, `groups`, `disabled`."""

    file: Path | None = None
    """The SQLite file. Either this or `url`."""

    url: str | None = None
    """The PostgreSQL server, `postgresql://user@host/database`, without the password. Either this or `file`."""

    password_file: Path | None = None
    """The file with the password for the server, in one line."""

    ca: Path | None = None
    """The CA certificates (PEM) that the server's certificate is verified against. Default: the system's."""

    cleartext: bool = False
    """True: connect to a server on another machine without TLS."""

    update: str | None = None
    """The statement that renews an outdated hash at login, with `:name`, `:hash` and `:old_hash`."""

    connections: int = 5
    """The most connections to the database."""

    database_timeout: timedelta = timedelta(seconds=1)
    """The longest time for an answer of the database, including a new connection."""

    unknown_user: Literal["reject", "pass"] = "reject"
    """For a user who is not in the database: "reject", or "pass" to ask the next authenticator."""

    handles: ClassVar = frozenset({IdentityType.USERNAME_AND_PASSCODE})
    _select: TextClause = field(init=False, repr=False)
    _update: TextClause | None = field(init=False, repr=False)
    _connection: Connection = field(init=False, repr=False)
    _time: EqualTime = field(init=False, repr=False)
    _database: Database = field(init=False, repr=False)
    _threads: ComputingThreads = field(init=False, repr=False)
    _verified: Verified = field(init=False, repr=False)
    _afterwards: set[asyncio.Task[None]] = field(init=False, repr=False, default_factory=set)
    _renewal_failed: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= _MOST_CONNECTIONS:
            raise ConfigError(f"connections: must be from 1 to {_MOST_CONNECTIONS}")
        if not self.database_timeout:
            raise ConfigError("database_timeout: must be longer than 0")
        self._select = statement("select", self.select)
        self._update = None if self.update is None else statement("update", self.update)
        self._connection = self._make_connection()
        try:
            self._time = EqualTime()
        except HashingFailedError:
            raise ConfigError("there is not enough memory for a hash") from None

    def _make_connection(self) -> Connection:
        if self.ca is not None and self.cleartext:
            raise ConfigError("ca and cleartext contradict each other")
        timeout = self.database_timeout.total_seconds()
        if self.url is not None and self.file is None:
            return postgresql(
                self.url,
                self.password_file,
                self.ca,
                cleartext=self.cleartext,
                connections=self.connections,
                timeout=timeout,
            )
        if self.file is not None and self.url is None:
            return sqlite(self.file, writes=self.update is not None, timeout=timeout)
        raise ConfigError("one of file (SQLite) and url (PostgreSQL) is needed, and only one")

    @property
    def answers_within(self) -> timedelta:
        """Tell the gateway how long the database may take."""
        return self.database_timeout

    async def __aenter__(self) -> Sql:
        self._threads = ComputingThreads("sql-hashing")
        self._verified = Verified()
        timeout = self.database_timeout.total_seconds()
        self._database = Database(self._connection, connections=self.connections, timeout=timeout)
        try:
            await self._look_up("")  # only for the log, which then says at the start if logins cannot work
        except UnavailableError as error:
            _log.error("sql: all logins fail for now: %s", error)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._afterwards:
            late = (await asyncio.wait(self._afterwards, timeout=self.database_timeout.total_seconds()))[1]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._database.close()
        self._verified.forget()
        self._threads.close()

    async def probe(self) -> list[Probed]:
        """Ask for a user whom nobody is."""
        what = f"database {self.file or self.url}"
        try:
            await self._look_up("")
        except UnavailableError as error:
            return [Probed(what, str(error))]
        return [Probed(what)]

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Accept or reject one attempt; Unavailable if the database or this machine gives no answer."""
        identity = attempt.identity
        if identity is None or identity.type not in self.handles:
            return Pass("not a username with a passcode")
        if not identity.secondary:
            return Reject("empty passcode")
        try:
            return await self._judge(identity)
        except UnavailableError as error:
            return Unavailable(str(error))

    async def _judge(self, identity: Identity) -> Decision:
        name = name_of(identity)
        account, seconds = await self._look_up(name)
        verify = partial(self._verify, identity.secondary, account, seconds)
        # With the hash, which was just read: another one, or none, makes it another credential.
        stored = () if account is None else (account.hash,)
        decision = await self._verified.decide(identity.primary, identity.secondary, *stored, verify=verify)
        if account is not None and isinstance(decision, Accept):
            handle = None if account.name == name else name  # by which alone the statement may know the user
            return Accept(user=account.name, groups=account.groups, handle=handle)  # as they are now
        return decision

    async def still_valid(self, user: str, handle: object, /) -> Accept | Reject | Unavailable:
        """Whether the `select` finds the user, enabled and with a hash. A new passcode changes nothing."""
        try:
            account, _ = await self._look_up(handle if isinstance(handle, str) else user)
        except UnavailableError as error:
            return Unavailable(str(error))
        refusal = refusal_of(account, user)
        return Reject(refusal) if refusal else Accept(user)

    async def _verify(self, passcode: bytes, account: Account | None, seconds: float) -> Decision:
        """Verify the passcode of the user whom the database gave within so many seconds."""
        text, cost = ("", None) if account is None else (account.hash, account.cost)
        began, wrong = await self._compute(_timed, self._time.dummy, passcode, text, cost)
        if cost is not None and self._time.is_new(cost):
            self._afterwards_do(self._learn())
        if account is not None and cost is not None and not wrong:
            if self._update is not None and cost.outdated:
                self._afterwards_do(self._renew(self._update, account, passcode))
            return Accept(user=account.name, groups=account.groups)
        compared()  # or refusals that the floor makes late would be guesses that nobody counts
        await asyncio.sleep(self._time.seconds_left(began - seconds))
        refusal = refusal_of(account) or wrong
        return Pass(refusal) if account is None and self.unknown_user == "pass" else Reject(refusal)

    async def _look_up(self, name: str) -> tuple[Account | None, float]:
        """The user of this name, and how many seconds that took."""
        answer = await self._database.ask(self._select, name=name)
        self._time.looked_up(answer.seconds)
        if problem := column_problem(answer.columns):
            raise UnavailableError(f"select: {problem}")
        return read_account(name, answer.rows), answer.seconds

    async def _learn(self) -> None:
        with suppress(UnavailableError):
            await self._compute(self._time.learn)

    async def _compute(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Compute hashes in a thread. Raises UnavailableError."""
        try:
            return await self._threads.run(work, *arguments, **options)
        except HashingFailedError:
            raise UnavailableError("a hash could not be computed: not enough memory") from None

    async def _renew(self, update: TextClause, account: Account, passcode: bytes) -> None:
        """Replace an outdated hash; this passcode has just been verified."""
        try:
            text = await self._compute(make_hash, passcode)
            answer = await self._database.ask(update, name=account.name, hash=text, old_hash=account.hash)
        except UnavailableError as error:
            if not self._renewal_failed:
                self._renewal_failed = True
                _log.warning("sql: outdated hashes cannot be renewed at login: %s", error)
            return
        self._renewal_failed = False
        if answer.changed:
            _log.info("sql: the hash of user %r is now argon2id", account.name)

    def _afterwards_do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this without making the login wait for it."""
        task = asyncio.create_task(work, context=Context())  # nobody's question: it may wait
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)


def _timed(dummy: DummyHash, passcode: bytes, text: str, cost: Cost | None) -> tuple[float, str]:
    """When the verification began, and why the passcode is wrong; in a thread."""
    return time.monotonic(), dummy.what_is_wrong(passcode, text, cost)
