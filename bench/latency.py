"""How long a C-ECHO takes while others are busy: two bulk streams, or passcodes that are being hashed.

Passcodes are hashed by dicomgate in every contestant's turn, also while the echo goes through HAProxy or directly: so
the machine is as busy for all, and what differs is the path of the echo.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles

from .contestants import DIRECT, HAPROXY, Contestant, haproxy, haproxy_command, left_out, make_certificate, serving
from .load import echo, endless
from .messages import PASSCODE
from .pacs import pacs
from .processes import PYTHON, ROOT, free_port
from .results import GATE, Bar, Comparison, Options, Sample, interleave, tell

_STREAMS = 2
_PDU_LENGTH = 131_072
_LOGINS, _CROWD = 8, 64  # at once
_BARS = (Bar(against=HAPROXY, most=1), Bar(most=15))
_BARS_IN_A_CROWD = (Bar(most=100),)
_FIGURES = ("C-ECHO, p50", "C-ECHO, p99", "association with its C-ECHO, p50", "association with its C-ECHO, p99")

Busy = Callable[[Contestant], AbstractContextManager[None]]


def run(options: Options, folder: Path) -> list[Comparison]:
    """Four figures for each kind of business; the bars are for the 99th percentile."""
    ports = {"bench": free_port(), "staff": free_port(), "crowd": free_port()}
    listeners = "".join(
        f'[[listener]]\nname = "{name}"\nbind = "127.0.0.1:{port}"\ncleartext_passcodes = true\n'
        f'identity = "{"optional" if name == "bench" else "required"}"\nauthenticators = ["{name}"]\n'
        for name, port in ports.items()
    )
    users = _users_file(folder)
    tables = f'{listeners}[[authenticator]]\nuse = "bench-trivial"\nname = "bench"\n'
    # Each worker lets 32 wait; a crowd of 64 needs two.
    for name, more in (("staff", ""), ("crowd", "workers = 2\n")):
        tables += f'[[authenticator]]\nuse = "passcode"\nname = "{name}"\nfile = "{users}"\ntimeout = "20s"\n{more}'
    with ExitStack() as stack:
        server = stack.enter_context(pacs(folder, make_certificate(folder)))
        contestants = {DIRECT: Contestant(server.port)}
        if haproxy_command():
            contestants[HAPROXY] = stack.enter_context(haproxy(folder, server.port))
        gate = stack.enter_context(serving(folder, ports["bench"], server.port, tables))
        contestants[GATE] = Contestant(ports["bench"], gate)
        kinds: dict[str, tuple[Busy, tuple[Bar, ...]]] = {
            "while 2 bulk streams run": (partial(_streaming, folder), _BARS),
            "while passcodes are hashed": (partial(_hashing, folder, ports["staff"], _LOGINS), _BARS),
            f"while {_CROWD} log in": (partial(_hashing, folder, ports["crowd"], _CROWD), _BARS_IN_A_CROWD),
        }
        comparisons = []
        for kind, (busy, bars) in kinds.items():
            tell(f" {kind}")
            comparisons += _compare(kind, contestants, busy, bars, options)
        return comparisons


def _compare(
    kind: str, contestants: dict[str, Contestant], busy: Busy, bars: tuple[Bar, ...], options: Options
) -> list[Comparison]:
    taken: list[dict[str, list[float]]] = []

    def take(name: str) -> Sample:
        if not taken or name in taken[-1]:
            taken.append({})
        contestant = contestants[name]
        contestant.check()
        with busy(contestant):
            times = [echo(contestant.port) for _ in range(30 if options.quick else 1000)]
        whole, alone = ([moments[index] * 1000 for moments in times] for index in (0, 1))
        taken[-1][name] = [point for points in (alone, whole) for point in _percentiles(points)]
        return Sample(taken[-1][name][1])

    interleave({name: partial(take, name) for name in contestants}, options.rounds)
    return [
        Comparison(
            f"{figure}, {kind}",
            "ms",
            [{name: Sample(points[name][index]) for name in contestants} for points in taken],
            (HAPROXY,),
            bars=bars if figure.endswith("p99") else (),
            notes=left_out(),
        )
        for index, figure in enumerate(_FIGURES)
    ]


def _percentiles(times: list[float]) -> tuple[float, float]:
    cuts = quantiles(times, n=100, method="inclusive")
    return cuts[49], cuts[98]


@contextmanager
def _streaming(folder: Path, contestant: Contestant) -> Iterator[None]:
    with ExitStack() as stack:
        for number in range(_STREAMS):
            stack.enter_context(endless("bulk", contestant.port, _PDU_LENGTH, folder, f"stream-{number}"))
        yield


@contextmanager
def _hashing(folder: Path, port: int, at_once: int, _: Contestant) -> Iterator[None]:
    with endless("echo", port, at_once, folder, "logins"):
        yield


def _users_file(folder: Path) -> Path:
    """An htpasswd file with one user, made by the plugin's own command: argon2id with its parameters."""
    path = folder / "users.htpasswd"
    command = [PYTHON, "-c", "from dicomgate.cli import main; main()", "passcode", "add", "alice", "--file", str(path)]
    subprocess.run(command, input=PASSCODE, capture_output=True, check=True, timeout=60, cwd=ROOT)
    return path
