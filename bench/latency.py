"""How long a C-ECHO takes while others are busy: two bulk streams, or passcodes that are being hashed; or nobody.

Passcodes are hashed by dicomgate in every contestant's turn, also while the echo goes through HAProxy or directly: so
the machine is as busy for all, and what differs is the path of the echo. Every login is another user's, so that its
passcode must be verified.

Two loops measure. Closed: each association begins when the one before has ended, and the C-ECHO has a time of its own.
Open: associations begin at a fixed rate, as those of many devices do, and each lasts from the moment planned for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from statistics import quantiles

from dicomgate_passcode import make_hash

from .associations import NEWCOMERS, at_rate, newcomer
from .contestants import DIRECT, HAPROXY, Contestant, haproxy, haproxy_command, left_out, make_certificate, serving
from .credentials import write_users
from .load import echo, endless
from .messages import PASSCODE
from .pacs import pacs
from .processes import free_port
from .results import GATE, Bar, Comparison, Options, Sample, interleave_several, tell

_STREAMS = 2
_PDU_LENGTH = 131_072
_LOGINS, _CROWD = 8, 64  # at once
_TURN = 1000  # users for each turn of hashing: more than can be verified in it
_RATES = (200, 500)  # associations a second while nobody else is there
_BUSY_RATE = 50
_ECHO, _ASSOCIATION = "C-ECHO", "association with its C-ECHO"
_STREAMING, _HASHING, _CROWDED = "while 2 bulk streams run", "while passcodes are hashed", f"while {_CROWD} log in"
_BARS = {
    f"{_ECHO}, p99, {_STREAMING}": (Bar(against=HAPROXY, most=1), Bar(most=15)),
    f"{_ASSOCIATION}, p99, {_STREAMING}": (Bar(against=HAPROXY, most=1), Bar(most=15)),
    f"{_ECHO}, p99, {_HASHING}": (Bar(against=HAPROXY, most=2), Bar(most=1)),
    f"{_ASSOCIATION}, p99, {_HASHING}": (Bar(against=HAPROXY, most=1), Bar(most=15)),
    f"{_ECHO}, p99, {_CROWDED}": (Bar(most=100),),
    f"{_ASSOCIATION}, p99, {_CROWDED}": (Bar(most=100),),
}

Busy = Callable[[Contestant], AbstractContextManager[None]]
Times = Mapping[str, list[float]]
"""Seconds, by what took them."""


def run(options: Options, folder: Path) -> list[Comparison]:
    """The median and the 99th percentile of each loop, for each kind of business; bars are for the latter."""
    ports = {"bench": free_port(), "staff": free_port()}
    listeners = "".join(
        f'[[listener]]\nname = "{name}"\nbind = "127.0.0.1:{port}"\ncleartext_passcodes = true\n'
        f'identity = "{"optional" if name == "bench" else "required"}"\nauthenticators = ["{name}"]\n'
        for name, port in ports.items()
    )
    users = write_users(folder, dict.fromkeys(map(newcomer, range(NEWCOMERS)), make_hash(PASSCODE)))
    tables = (
        f'{listeners}[[authenticator]]\nuse = "bench-trivial"\nname = "bench"\n'
        # A login that is refused would end the load.
        f'[[authenticator]]\nuse = "passcode"\nname = "staff"\nfile = "{users}"\npatience = "30s"\n'
    )
    closed, busy_rate = partial(_closed, 30 if options.quick else 1000), partial(_open, _BUSY_RATE, options)
    with ExitStack() as stack:
        server = stack.enter_context(pacs(folder, make_certificate(folder)))
        contestants = {DIRECT: Contestant(server.port)}
        if haproxy_command():
            contestants[HAPROXY] = stack.enter_context(haproxy(folder, server.port))
        gate = stack.enter_context(serving(folder, ports["bench"], server.port, tables))
        contestants[GATE] = Contestant(ports["bench"], gate)
        turns = count(step=_TURN)
        kinds: dict[str, Busy] = {
            _STREAMING: partial(_streaming, folder),
            _HASHING: partial(_hashing, folder, ports["staff"], _LOGINS, turns),
            _CROWDED: partial(_hashing, folder, ports["staff"], _CROWD, turns),
        }
        rates = [partial(_open, rate, options) for rate in _RATES]
        comparisons = _compare("", contestants, lambda _: nullcontext(), rates, options)
        for kind, busy in kinds.items():
            tell(f" {kind}")
            comparisons += _compare(f", {kind}", contestants, busy, [closed, busy_rate], options)
        return comparisons


def _compare(
    kind: str, contestants: dict[str, Contestant], busy: Busy, loops: Sequence[Callable[[int], Times]], options: Options
) -> list[Comparison]:
    def take(contestant: Contestant) -> Mapping[str, Sample]:
        contestant.check()
        found: dict[str, Sample] = {}
        with busy(contestant):
            for loop in loops:
                for what, times in loop(contestant.port).items():
                    cuts = quantiles(times, n=100, method="inclusive")
                    found |= {f"{what}, p{cut}{kind}": Sample(cuts[cut - 1] * 1000) for cut in (50, 99)}
        return found

    taken = interleave_several({name: partial(take, one) for name, one in contestants.items()}, options.rounds)
    return [
        Comparison(title, "ms", rounds, (HAPROXY,), bars=_BARS.get(title, ()), notes=left_out(nginx=False))
        for title, rounds in taken.items()
    ]


def _closed(most: int, port: int) -> Times:
    times = [echo(port) for _ in range(most)]
    return {_ECHO: [alone for _, alone in times], _ASSOCIATION: [whole for whole, _ in times]}


def _open(rate: int, options: Options, port: int) -> Times:
    return {f"{_ASSOCIATION} at {rate} a second": at_rate(port, rate, rate // 5 if options.quick else 4 * rate)}


@contextmanager
def _streaming(folder: Path, contestant: Contestant) -> Iterator[None]:
    with ExitStack() as stack:
        for number in range(_STREAMS):
            stack.enter_context(endless("bench.load", (contestant.port, _PDU_LENGTH), folder, f"stream-{number}"))
        yield


@contextmanager
def _hashing(folder: Path, port: int, at_once: int, turns: Iterator[int], _: Contestant) -> Iterator[None]:
    with endless("bench.associations", (port, at_once, next(turns)), folder, "logins"):
        yield
