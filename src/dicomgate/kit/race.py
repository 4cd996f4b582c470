"""One connection to a host with several addresses: a silent one does not hold up the others (RFC 8305).

Rule 1: after an attempt that fails the next begins at once; beside one that is silent it begins after `STAGGER`.
Rule 2: the first that succeeds wins; the others are cancelled. TLS is part of an attempt, not what is asked after it.
Rule 3: when no address is left to try, the name is looked up again, and what is new is tried too.
Rule 4: whatever the outcome, what happened at each address is told.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

from .failover import BusyError, NoAnswerError
from .host import Address, Host

STAGGER = 0.25
"""Seconds until the next address is tried beside one that is silent. RFC 8305 5 recommends them."""
PATIENCE = 1.0
"""Seconds that a race waits for a look-up after all known addresses have failed."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Attempt(Protocol[T_co]):
    """One address being tried, in callbacks."""

    def begin(self, won: Callable[[T_co], None], failed: Callable[[str], None]) -> None:
        """Call either once, now or later: with what was opened, or with the reason why it was not."""

    def cancel(self) -> None:
        """Give up without calling back."""


class Race(Generic[T]):
    """The attempts at one host: `begin` once; `cancel` ends it without a callback.

    It calls `won` once, or `lost` with what happened at each address. `log` gets a warning when an address was passed
    over, which calls the host `kind`, for example "upstream pacs".
    """

    __slots__ = ("_again", "_attempt", "_host", "_kind", "_log", "_looked", "_loop", "_lost", "_patience", "_reasons",
                 "_running", "_stagger", "_timer", "_tried", "_waiting", "_won")  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: Host,
        attempt: Callable[[Address], Attempt[T]],
        won: Callable[[T], None],
        lost: Callable[[str], None],
        *,
        kind: str,
        log: logging.Logger,
        stagger: float = STAGGER,
        patience: float = PATIENCE,
    ) -> None:
        self._loop = loop
        self._host = host
        self._attempt = attempt
        self._won = won
        self._lost = lost
        self._kind = kind
        self._log = log
        self._stagger = stagger
        self._patience = patience
        self._waiting = host.addresses()
        self._tried: list[Address] = []
        self._running: dict[Address, tuple[Attempt[T], float]] = {}
        self._reasons: list[str] = []
        self._again: asyncio.Future[list[Address]] | None = None
        self._looked = False
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Try the first address. The rest happens by itself."""
        self._next()

    def cancel(self) -> None:
        """Give up without calling back. What was silent so far is tried last the next time."""
        now = self._loop.time()
        for address, (_, began) in self._running.items():
            if now - began >= self._stagger:
                self._host.failed(address, _silence(now - began))
        self._end()

    def so_far(self) -> str:
        """What has happened at each address until now."""
        now = self._loop.time()
        silent = [f"{address}: {_silence(now - began)}" for address, (_, began) in self._running.items()]
        return "; ".join([*self._reasons, *silent]) or self._host.trouble()

    def _next(self) -> None:
        if not self._waiting:
            self._look_again()
            return
        address = self._waiting.pop(0)
        attempt = self._attempt(address)
        self._tried.append(address)
        self._running[address] = attempt, self._loop.time()
        attempt.begin(partial(self._answered, address), partial(self._failed, address))
        if address in self._running:
            self._wait(self._stagger, self._next)

    def _answered(self, address: Address, opened: T) -> None:
        _, began = self._running.pop(address)
        self._passed_over(began)
        if self._reasons:
            self._log.warning("%s: %s; %s answers", self._kind, "; ".join(self._reasons), address)
        self._host.answered(address)
        won = self._won
        self._end()
        won(opened)

    def _passed_over(self, before: float) -> None:
        """Those that had more time than the winner."""
        now = self._loop.time()
        for address, (_, began) in self._running.items():
            if began < before:
                self._host.failed(address, _silence(now - began))
                self._reasons.append(f"{address}: {_silence(now - began)}")

    def _failed(self, address: Address, reason: str) -> None:
        del self._running[address]
        self._host.failed(address, reason)
        self._reasons.append(f"{address}: {reason}")
        self._next()

    def _look_again(self) -> None:
        self._stop_waiting()
        if self._again is None:
            self._again = self._host.look_up()
            self._again.add_done_callback(self._looked_up)
        if not self._running:
            if self._looked:
                self._give_up()
            elif self._reasons:
                self._wait(self._patience, self._give_up)

    def _looked_up(self, found: asyncio.Future[list[Address]]) -> None:
        if self._again is found:
            self._looked = True
            self._waiting = [one for one in self._host.addresses() if one not in self._tried]
            if self._waiting:
                self._next()
            elif not self._running:
                self._give_up()

    def _give_up(self) -> None:
        lost, why = self._lost, self.so_far()
        self._end()
        lost(why)

    def _end(self) -> None:
        self._stop_waiting()
        self._again = None
        self._waiting = []
        running, self._running = self._running, {}
        for attempt, _ in running.values():
            attempt.cancel()
        # Their owner refers to this: a race that is over needs no garbage collector.
        self._won = self._lost = _nothing

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self._loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


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
    """The same for coroutines: what `open_one` returns for the address that is first.

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

    task = partial(_Task, open_one, discard, outcome)
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


class _Task(Generic[T]):
    """One address being tried, in a task."""

    def __init__(
        self,
        open_one: Callable[[Address], Awaitable[T]],
        discard: Callable[[T], object],
        outcome: asyncio.Future[T],
        address: Address,
    ) -> None:
        self._open_one = open_one
        self._discard = discard
        self._outcome = outcome
        self._address = address
        self._cancelled = False

    def begin(self, won: Callable[[T], None], failed: Callable[[str], None]) -> None:
        self._won, self._failed = won, failed
        self._task = asyncio.ensure_future(self._open_one(self._address))
        self._task.add_done_callback(self._over)

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
    """A non-blocking connection to one address. Raises OSError."""
    sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address.socket_address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _silence(seconds: float) -> str:
    return f"no answer within {seconds:.2g} s"


def _nothing(_: object) -> None:
    """No-op default callback."""
