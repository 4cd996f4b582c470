"""Associations with a C-ECHO each: so many at once, or at a fixed rate. The hot loop of the load generator.

On loopback a connection is complete when `connect` returns, unless the backlog of the server is full; and the kernel
takes a message at once. So each socket is registered once. There are no timeouts: the benchmark as a whole has one.

`python -m bench.associations PORT AT_ONCE FIRST` logs in as one of `NEWCOMERS` users after the other, from the FIRST
on, until it is stopped.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from itertools import count, islice, repeat, takewhile
from math import inf

from .messages import ECHO, ECHO_RQ, RELEASE_RQ, associate_rq
from .processes import BenchError

NEWCOMERS = 30_000
ALICE = repeat(associate_rq(ECHO))  # one login, which may be sent any number of times
_AC, _RJ, _DATA, _RELEASE_RP = 2, 3, 4, 6
_ENOUGH = 4096  # bytes: more than any answer has

Refusal = tuple[float, str]
"""The seconds from the connection to the A-ASSOCIATE-RJ, and its result, source and reason."""


class _Clients:
    """The associations that are under way. Where `refusals` is None, a refusal is an error."""

    def __init__(self, port: int, requests: Iterable[bytes], refusals: list[Refusal] | None, *, alone: bool) -> None:
        self.open: dict[int, tuple[socket.socket, float]] = {}
        self.poll = select.epoll()
        self.lasted: list[float] = []  # seconds, of each that was admitted and released
        self._refusals = refusals
        self._address = ("127.0.0.1", port)
        self._type = socket.SOCK_STREAM if alone else socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        self._requests = iter(requests)
        self._unsent: dict[int, bytes] = {}
        self._buffer = bytearray(_ENOUGH)

    def begin(self, since: float) -> None:
        """Connect and request an association, if a request is left."""
        request = next(self._requests, None)
        if request is None:
            return
        connection = socket.socket(socket.AF_INET, self._type)
        connection.connect_ex(self._address)
        descriptor = connection.fileno()
        self.open[descriptor] = connection, since
        try:
            connection.send(request)
            self.poll.register(descriptor, select.EPOLLIN)
        except BlockingIOError:
            self._unsent[descriptor] = request
            self.poll.register(descriptor, select.EPOLLOUT)

    def go_on(self, descriptor: int) -> bool:
        """Read an answer, and send what follows; False if the association is over. Raises BenchError."""
        connection, since = self.open[descriptor]
        if descriptor in self._unsent:
            connection.send(self._unsent.pop(descriptor))
            self.poll.modify(descriptor, select.EPOLLIN)
            return True
        count, buffer = connection.recv_into(self._buffer), self._buffer
        kind = buffer[0] if count else 0
        if kind == _AC:
            connection.send(ECHO_RQ)
            return True
        if kind == _DATA:
            connection.send(RELEASE_RQ)
            return True
        connection.close()
        del self.open[descriptor]
        seconds = time.perf_counter() - since
        if kind == _RELEASE_RP:
            self.lasted.append(seconds)
        elif kind == _RJ and self._refusals is not None:
            self._refusals.append((seconds, _reason(buffer)))
        else:
            answer = f"RJ {_reason(buffer)}" if kind == _RJ else buffer[:count].hex() or "nothing"
            raise BenchError(f"an association ended with {answer}")
        return False

    def close(self) -> None:
        """Close what is open."""
        self.poll.close()
        for connection, _ in self.open.values():
            connection.close()


def at_once(
    port: int, most: int, seconds: float, requests: Iterable[bytes] = ALICE, refusals: list[Refusal] | None = None
) -> tuple[list[float], float]:
    """A closed loop: `most` are under way all the time, for so many seconds or until no request is left.

    Those that are under way then end uncounted: to the throttle, one that is broken off would be a failed login.
    Returns how many seconds each took, and the seconds of all. Refused ones are appended to `refusals`. Raises
    BenchError for whatever else happens, and for a refusal where there is no such list.
    """
    with closing(_Clients(port, requests, refusals, alone=most == 1)) as clients:
        start, made, taken = time.perf_counter(), 0, 0.0
        for _ in range(most):
            clients.begin(start)
        poll, go_on, under_way, lasted = clients.poll.poll, clients.go_on, clients.open, clients.lasted
        while under_way:
            # One alone need not be polled for.
            for descriptor in [*under_way] if most == 1 else [ready for ready, _ in poll()]:
                if not go_on(descriptor) and ((now := time.perf_counter()) - start < seconds or not taken):
                    made, taken = len(lasted), now - start
                    clients.begin(now)
        return lasted[:made], taken


def at_rate(port: int, rate: float, most: int) -> list[float]:
    """An open loop: `most` begin at a fixed rate a second, whatever becomes of those before. Raises BenchError.

    Returns how many seconds each took from the moment that was planned for it, not from when it began: what makes
    others late is counted with them ("coordinated omission").
    """
    with closing(_Clients(port, ALICE, None, alone=False)) as clients:
        start, begun = time.perf_counter(), 0
        while begun < most or clients.open:
            wait = max(0.0, start + begun / rate - time.perf_counter()) if begun < most else None
            # The timeout of epoll itself is in whole milliseconds.
            if select.select([clients.poll], [], [], wait)[0]:
                for descriptor, _ in clients.poll.poll(0):
                    clients.go_on(descriptor)
            while begun < most and (planned := start + begun / rate) <= time.perf_counter():
                clients.begin(planned)
                begun += 1
        return clients.lasted


def newcomer(number: int) -> str:
    """The name of one of `NEWCOMERS` users."""
    return f"user-{number % NEWCOMERS}"


def _reason(rejection: bytearray) -> str:
    return ",".join(map(str, rejection[7:10]))  # PS3.8 9.3.4


def main() -> None:
    """Say when the first was admitted, and go on until told to stop. Raises BenchError if one is refused."""
    port, most, first = map(int, sys.argv[1:4])
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    logins = (associate_rq(ECHO, newcomer(number).encode()) for number in count(first))
    at_once(port, 1, inf, islice(logins, 1))
    print("under way", flush=True)
    at_once(port, most, inf, takewhile(lambda _: not told, logins))


if __name__ == "__main__":
    main()
