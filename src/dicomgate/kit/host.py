"""A host by its name: its addresses, looked up in a thread, and which of them is tried first.

Rule 1: nobody waits for a resolver that hangs: a look-up has a thread of its own, one for each host at a time.
Rule 2: as long as a name cannot be looked up, the addresses found before stay in use.
Rule 3: the address that answered last is tried first; one that failed is tried after the others for a while.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from itertools import chain, zip_longest
from threading import Thread
from typing import Any, NamedTuple

from .addresses import show_address
from .failover import MEMORY

LONGEST = 5.0
"""Seconds that a start waits for a look-up, which goes on. A resolver asks its second name server after as many."""
_FRESH = 1.0
"""Seconds for which the outcome of a look-up counts: failures in quick succession need not ask again."""


class Address(NamedTuple):
    """As sockets take it."""

    family: int
    socket_address: tuple[Any, ...]

    def __str__(self) -> str:
        return show_address(*self.socket_address[:2])


class Host:
    """A host name or address, and a port, for one event loop at a time."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.is_name = not _is_address(name)
        # What is an address already needs no resolver; this does not block.
        self._found = [] if self.is_name else _look_up(name, port, socket.AI_NUMERICHOST)
        self._failed: dict[Address, tuple[float, str]] = {}  # until when it is tried last, and why
        self._good: Address | None = None
        self._looking_up: asyncio.Future[list[Address]] | None = None
        self._looked_up = -_FRESH
        self._problem = ""

    def addresses(self) -> list[Address]:
        """Those found so far, the one to try first at the front."""
        if len(self._found) < 2:
            return self._found.copy()
        now = time.monotonic()
        # sorted is stable: what is equal stays in the resolver's order (RFC 6724), the families taking turns.
        return sorted(self._found, key=lambda one: (self._failed.get(one, (0.0,))[0] > now, one != self._good))

    def answered(self, address: Address) -> None:
        """Try this address first from now on."""
        self._good = address
        self._failed.pop(address, None)

    def failed(self, address: Address, why: str) -> None:
        """Try this address after the others for a while."""
        self._failed[address] = time.monotonic() + MEMORY, why

    def trouble(self) -> str:
        """What happened at each address, if none of them works; why the name has none; or ""."""
        if not self._found:
            return self._problem or f"no name server has answered yet where {self.name} is"
        if not all(address in self._failed for address in self._found):
            return ""
        if not self.is_name:
            return self._failed[self._found[0]][1]
        return "; ".join(f"{address}: {self._failed[address][1]}" for address in self._found)

    def look_up(self) -> asyncio.Future[list[Address]]:
        """Look up the name anew, if it is one and was not looked up just now. Call it in the event loop.

        Do not await it: who waits for it may be cancelled, and others wait for it too. `addresses` has the result.
        """
        loop, under_way = asyncio.get_running_loop(), self._looking_up
        if under_way is not None and not under_way.done() and under_way.get_loop() is loop:
            return under_way
        self._looking_up = found = loop.create_future()
        found.add_done_callback(self._take)
        if not self.is_name or (self._found and time.monotonic() - self._looked_up < _FRESH):
            found.set_result(self._found)
        else:
            # Not the event loop's threads: these are few, and all of the gateway would wait for one that hangs.
            Thread(target=_in_thread, args=(self.name, self.port, loop, found), daemon=True).start()
        return found

    async def begin(self) -> str:
        """Look up the name, and wait for that as long as a start may. Returns why there is no address yet, or ""."""
        await asyncio.wait((self.look_up(),), timeout=LONGEST)
        return "" if self._found else self.trouble()

    def close(self) -> None:
        """Wait for no look-up any longer."""
        if self._looking_up is not None:
            self._looking_up.cancel()

    def _take(self, found: asyncio.Future[list[Address]]) -> None:
        self._looked_up = time.monotonic()
        if found.cancelled():
            return
        error = found.exception()
        if not isinstance(error, OSError):
            self._found, self._problem = found.result(), ""
            self._failed = {address: why for address, why in self._failed.items() if address in self._found}
        else:
            self._problem = f"the host name {self.name} does not resolve: {error.strerror or error}"


def _is_address(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def _look_up(name: str, port: int, flags: int = 0) -> list[Address]:
    """Blocks. The families take turns (RFC 8305 4), for one of them may lead nowhere. Raises OSError."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)
    addresses = list(dict.fromkeys(Address(family, address) for family, _, _, _, address in found))
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    return [address for address in chain(*zip_longest(*families.values())) if address is not None]


def _in_thread(name: str, port: int, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[Address]]) -> None:
    try:
        settle = partial(_settle, found, _look_up(name, port))
    except OSError as error:
        settle = partial(_settle, found, OSError(error.errno, error.strerror or str(error)))
    except UnicodeError:  # a label that is empty or too long
        settle = partial(_settle, found, OSError(f"{name!r} is not a host name"))
    with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def _settle(found: asyncio.Future[list[Address]], outcome: list[Address] | OSError) -> None:
    if found.done():
        return
    if isinstance(outcome, OSError):
        found.set_exception(outcome)
    else:
        found.set_result(outcome)
