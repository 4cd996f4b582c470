"""One directory server: so many questions at a time, each with a deadline, on connections that are bound.

Rule 1: an answer or a NoAnswerError comes in time, whatever the server does.
Rule 2: no bind without a DN or without a passcode: that would be an anonymous one, and succeed (RFC 4513 5.1.2).
Rule 3: connections are kept: those of the gateway's own account, and those on which users bind, one after the other. A
        bind replaces the one before it (RFC 4513 4). A connection on which anything went wrong is closed.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import ldap

from dicomgate import ConfigError
from dicomgate.kit.failover import BusyError, NoAnswerError
from dicomgate.kit.files import read_secret_text

from .bind_errors import refusal_by_policy, refusal_of_bind
from .connection import Connection
from .relay import Target
from .settings import Settings, Url
from .troubles import why_not_asked

_T = TypeVar("_T")

ANY = "(objectClass=*)"

_WRONG_ACCOUNT = "wrong secret, or no such entry: see bind_dn and bind_password_file"
"""Directories do not tell the two apart."""
_IDLE = 60.0
"""Seconds after which a connection is no longer used: firewalls forget it, Active Directory closes it."""


class RefusedError(Exception):
    """The directory refuses a login. The message says why."""


class Server:
    """The server at `url`, as `target` knows it. `tls` gives the context for a new connection."""

    def __init__(self, settings: Settings, url: Url, tls: Callable[[], ssl.SSLContext]) -> None:
        self.settings = settings
        self.target = Target(url, settings.ca)
        self._tls = tls
        self._free = asyncio.Semaphore(settings.connections)
        self._idle = _Kept()
        self._spare = _Kept()
        self._open: set[Connection] = set()

    async def in_time(self, ask: Callable[[], Awaitable[_T]], seconds: float) -> tuple[_T, float]:
        """The answer, and the time (time.monotonic) at which the question was begun.

        Raises NoAnswerError, after `seconds` at the latest, and BusyError if it waited for a connection for most of
        them: then the server is not to blame.
        """
        asked, began = time.monotonic(), 0.0
        try:
            async with asyncio.timeout(seconds), self._free:
                began = time.monotonic()
                return await ask(), began
        except TimeoutError:
            waited = began - asked
            if not 0 <= waited <= seconds / 2:
                raise BusyError("all connections are busy") from None
            host = self.target.host
            addresses = host.trouble() if host.is_name else ""
            raise NoAnswerError(addresses or f"no answer within {seconds - waited:.2g} s") from None
        except (RefusedError, ConfigError) as error:  # a refusal of the gateway's own account; its secret file
            raise NoAnswerError(str(error)) from None
        except ldap.LDAPError as error:
            anonymous = self.settings.bind_dn is None and self.settings.direct_bind is None
            raise NoAnswerError(why_not_asked(error, self.target.url, anonymous=anonymous)) from None

    async def on_our_own(self, ask: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Ask on a connection of the gateway's own account. If a kept one fails, ask once more on a new one."""
        if (own := self._idle.pop()) is not None:
            try:
                return await self._ask_and_keep(own, ask)
            except BaseException as error:
                self._close_idle()
                if not isinstance(error, ldap.LDAPError):
                    raise
        return await self._ask_and_keep(await self._connect_as_the_gateway(), ask)

    @asynccontextmanager
    async def bound(self, dn: str, passcode: str, wrong: str) -> AsyncIterator[Connection]:
        """A connection that is bound as this DN. Raises RefusedError, with `wrong` unless the directory says why.

        If a kept one turns out to be closed, a new one is opened.
        """
        connection = await self._bind_again(dn, passcode, wrong) or await self._bind(dn, passcode, wrong)
        try:
            yield connection
        except BaseException:
            connection.abort()
            raise
        self._spare.push(connection)

    async def close(self) -> None:
        """Close all connections."""
        self.target.host.close()
        for connection in list(self._open):
            connection.abort()
            await connection.over

    def _close_idle(self) -> None:
        # If the server has vanished, all kept connections are silent, each for one more login.
        self._idle.abort()
        self._spare.abort()

    async def _ask_and_keep(self, own: Connection, ask: Callable[[Connection], Awaitable[_T]]) -> _T:
        try:
            answer = await ask(own)
        except BaseException:
            own.abort()
            raise
        self._idle.push(own)
        return answer

    async def _connect_as_the_gateway(self) -> Connection:
        settings = self.settings
        # Read for each connection: a new secret counts without a restart.
        secret = None if settings.bind_password_file is None else read_secret_text(settings.bind_password_file)
        try:
            own = await self._bind(settings.bind_dn, secret, _WRONG_ACCOUNT)
        except ldap.INVALID_DN_SYNTAX:
            raise NoAnswerError(
                f"bind_dn {settings.bind_dn!r} is not a DN, and this directory takes no other name"
            ) from None
        except RefusedError as error:
            raise NoAnswerError(f"it refuses the gateway's own account, {settings.bind_dn}: {error}") from None
        try:
            await self._check_base(own, settings.base)
            if settings.searches_for_groups and settings.group_base:
                await self._check_base(own, settings.group_base)
        except BaseException:
            own.abort()
            raise
        return own

    async def _check_base(self, own: Connection, base: str) -> None:
        # A server that does not hold the base, and refers to another one, cannot tell who is unknown.
        with suppress(ldap.NO_SUCH_OBJECT, ldap.REFERRAL):
            if await own.search(base, ldap.SCOPE_BASE, ANY, ["1.1"]):
                return
        raise NoAnswerError(f"there is no entry {base}, or it may not be read")

    async def _bind(self, dn: str | None, secret: str | None, wrong: str) -> Connection:
        """A new connection that is bound as the DN, or as nobody. Raises RefusedError if the directory refuses that."""
        _check_bind(dn, secret)
        connection = await Connection.open(self.target, self._tls())
        self._open.add(connection)
        connection.over.add_done_callback(lambda _: self._open.discard(connection))
        await _bind_on(connection, dn, secret, wrong)
        return connection

    async def _bind_again(self, dn: str, passcode: str, wrong: str) -> Connection | None:
        """A kept connection, bound as this DN from now on; None if there is none. Raises RefusedError."""
        _check_bind(dn, passcode)
        spare = self._spare.pop()
        if spare is not None:
            try:
                await _bind_on(spare, dn, passcode, wrong)
            except RefusedError:
                raise
            except BaseException as error:
                self._close_idle()
                if not isinstance(error, ldap.SERVER_DOWN):
                    raise
                return None
        return spare


class _Kept:
    """Connections that are not in use now, the one that was used last on top."""

    def __init__(self) -> None:
        self._connections: list[tuple[Connection, float]] = []

    def push(self, connection: Connection) -> None:
        self._connections.append((connection, time.monotonic()))

    def pop(self) -> Connection | None:
        """One that may still be used; those that may not are closed."""
        while self._connections:
            connection, used = self._connections.pop()
            if not connection.over.done() and time.monotonic() - used < _IDLE:
                return connection
            connection.close()
        return None

    def abort(self) -> None:
        """Close all at once."""
        while self._connections:
            self._connections.pop()[0].abort()


def _check_bind(dn: str | None, secret: str | None) -> None:
    if dn is not None and not (dn and secret):
        raise NoAnswerError("a bind without a name or a passcode, which would be anonymous")


async def _bind_on(connection: Connection, dn: str | None, secret: str | None, wrong: str) -> None:
    """Bind; unless that succeeds, close the connection. Raises RefusedError, and as `Connection.bind` does."""
    try:
        reason = refusal_by_policy(await connection.bind(dn or "", secret or ""))
    except ldap.LDAPError as error:
        connection.abort()
        reason = refusal_of_bind(error, wrong)
        if not reason:
            raise
    except BaseException:
        connection.abort()
        raise
    if reason:
        connection.abort()
        raise RefusedError(reason)
