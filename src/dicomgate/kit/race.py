"""One connection to a host with several addresses: a silent one does not hold up the others (RFC 8305).

Rule 1: after an attempt that fails the next begins at once; beside one that is silent it begins after `STAGGER`.
Rule 2: the first that succeeds wins; the others are cancelled. TLS is part of an attempt, not what is asked after it.
Rule 3: when no address is left to try, the name is looked up again, and what is new is tried too.
Rule 4: whatever the outcome, what happened at each address is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

from .host import Address, Host

STAGGER = 0.25
"""Seconds until the next address is tried beside one that is silent. RFC 8305 5 recommends them."""
AT_ONCE = 4
"""Attempts in parallel. A name with dozens of silent addresses must not use up the file descriptors."""
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
        if len(self._running) >= AT_ONCE:
            self._give_up_the_first()
        address = self._waiting.pop(0)
        attempt = self._attempt(address)
        self._tried.append(address)
        self._running[address] = attempt, self._loop.time()
        attempt.begin(partial(self._answered, address), partial(self._failed, address))
        if address in self._running:
            self._wait(self._stagger, self._next)

    def _answered(self, address: Address, opened: T) -> None:
        _, began = self._running.pop(address)
        if self._running:
            self._passed_over(began)
        if self._reasons:
            self._log.warning("%s: %s; %s answers", self._kind, "; ".join(self._reasons), address)
        self._host.answered(address)
        won = self._won
        self._end()
        won(opened)

    def _give_up_the_first(self) -> None:
        address = next(iter(self._running))
        attempt, began = self._running.pop(address)
        attempt.cancel()
        silence = _silence(self._loop.time() - began)
        self._host.failed(address, silence)
        self._reasons.append(f"{address}: {silence}")

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


def _silence(seconds: float) -> str:
    return f"no answer within {seconds:.2g} s"


def _nothing(_: object) -> None:
    """No-op default callback."""
