"""A race for coroutines: what is opened at the first address of a host that answers."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from .failover import BusyError, NoAnswerError
from .host import Address, Host
from .race import PATIENCE, STAGGER, Race

T = TypeVar("T")


async def first(
    host: Host,
    open_one: Callable[[Address], Awaitable[T]],
    discard: Callable[[T], object],
    *,
    kind: str,
    log: logging.Logger,
    stagger: float = STAGGER,
    patience: float = PATIENCE,
) -> T:
    """What `open_one` returns for the first address at which it succeeds.

    It raises NoAnswerError for an address where it cannot open anything; `discard` gets what a loser has opened. Raises
    NoAnswerError with what happened at each address, and whatever else `open_one` raises. Whoever cancels this finds
    what happened so far in `Host.trouble`.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def won(opened: T) -> None:
        if outcome.done():
            discard(opened)
        else:
            outcome.set_result(opened)

    def lost(why: str) -> None:
        if not outcome.done():
            outcome.set_exception(NoAnswerError(host.trouble() or why))

    begun: list[asyncio.Future[T]] = []
    task = partial(_Task, open_one, discard, outcome, begun)
    race = Race(loop, host, task, won, lost, kind=kind, log=log, stagger=stagger, patience=patience)
    race.begin()
    try:
        return await outcome
    except asyncio.CancelledError:
        if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
            discard(outcome.result())
        raise
    finally:
        race.cancel()
        if left := [one for one in begun if not one.done()]:
            await asyncio.wait(left)  # they are cancelled, and close what they have opened


class _Task(Generic[T]):
    """One address being tried, in a task."""

    def __init__(
        self,
        open_one: Callable[[Address], Awaitable[T]],
        discard: Callable[[T], object],
        outcome: asyncio.Future[T],
        begun: list[asyncio.Future[T]],
        address: Address,
    ) -> None:
        self._open_one = open_one
        self._discard = discard
        self._outcome = outcome
        self._begun = begun
        self._address = address
        self._cancelled = False

    def begin(self, won: Callable[[T], None], failed: Callable[[str], None]) -> None:
        self._won, self._failed = won, failed
        self._task = asyncio.ensure_future(self._open_one(self._address))
        self._task.add_done_callback(self._over)
        self._begun.append(self._task)

    def cancel(self) -> None:
        self._cancelled = True
        self._task.cancel()

    def _over(self, task: asyncio.Future[T]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._cancelled:
            if not task.cancelled() and error is None:
                self._discard(task.result())
        elif isinstance(error, NoAnswerError) and not isinstance(error, BusyError):
            self._failed(str(error))
        elif error is not None and not self._outcome.done():
            self._outcome.set_exception(error)
        elif error is None:
            self._won(task.result())


async def connected(address: Address) -> socket.socket:
    """A non-blocking connection to one address. Raises OSError with the system's words."""
    sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address.socket_address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno:  # asyncio puts words of its own in their place
            raise OSError(error.errno, os.strerror(error.errno)) from None
        raise
    return sock
