"""Users who come at once, each for the first time since the gateway began, as after a power cut.

How many of their passcodes the cores can verify is measured beside it, in threads without a gateway. Each turn has a
gateway and a state of its own: one that went on would know its users.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from pathlib import Path

from argon2.low_level import Type, verify_secret

from dicomgate.testing import passcode
from dicomgate_passcode import make_hash

from .associations import Refusal, at_once
from .contestants import asking
from .credentials import request, write_users
from .results import Bar, Comparison, Options, Sample, interleave_several, tell

Users = Mapping[str, tuple[bytes, str]]
"""Names, with the passcode and its hash."""

_CORES = "cores alone"
_RATE, _REFUSED, _LONGEST, _IN_VAIN = "logins", "refused", "the longest wait", "the longest wait for a refusal"
_UNITS = {_RATE: "logins/s", _REFUSED: "users", _LONGEST: "s", _IN_VAIN: "s"}
_PATIENCE = 4.25
"""Seconds: the default patience, and a connection and its answer while all the others have theirs."""


def all_for_the_first_time(options: Options, folder: Path, upstream: int) -> list[Comparison]:
    """200 users: logins a second, how many were refused, and how long they waited, with 100 and with 200 at once."""
    count, some = (20, 10) if options.quick else (200, 100)
    tell(f" {count} users, each for the first time")
    users, reasons = _users(count), Counter[str]()
    file = write_users(folder, {name: text for name, (_, text) in users.items()})
    half, whole = f"{some} at once", f"{count} at once"
    rounds = interleave_several(
        {
            _CORES: partial(_verify, users),
            half: partial(_log_in, users, some, file, upstream, reasons),
            whole: partial(_log_in, users, count, file, upstream, reasons),
        },
        options.rounds,
    )
    bars = {
        _RATE: [Bar(against=_CORES, least=0.9, contestant=name) for name in (half, whole)],
        _REFUSED: [Bar(most=0, contestant=half)],
        _IN_VAIN: [Bar(most=_PATIENCE, contestant=whole)],
    }
    notes = tuple(f"Refused with RJ {reason}: {times}, in all rounds." for reason, times in sorted(reasons.items()))
    return [
        Comparison(
            f"{count} new users: {figure}",
            _UNITS[figure],
            taken,
            (_CORES,),
            "ms",
            tuple(bars.get(figure, ())),
            notes if figure == _REFUSED else (),
        )
        for figure, taken in rounds.items()
    ]


def _users(count: int) -> Users:
    """Each has a passcode of its own, hashed as `dicomgate passcode add` does."""
    secrets = {f"modality-{number}": b"passcode of modality %d" % number for number in range(count)}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        hashes = threads.map(make_hash, secrets.values())
        return {name: (secrets[name], text) for name, text in zip(secrets, hashes, strict=True)}


def _verify(users: Users) -> Mapping[str, Sample]:
    """Verify each passcode once, with all cores."""
    start, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        right = threads.map(lambda user: verify_secret(user[1].encode(), user[0], Type.ID), users.values())
        assert all(right)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {_RATE: Sample(len(users) / seconds, cpu / len(users) * 1000)}


def _log_in(users: Users, most: int, file: Path, upstream: int, reasons: Counter[str]) -> Mapping[str, Sample]:
    """All of them, with so many at once, at a gateway that has not seen them."""
    refusals: list[Refusal] = []
    requests = [request(passcode(name, secret)) for name, (secret, _) in users.items()]
    with (
        tempfile.TemporaryDirectory(dir=file.parent) as own,
        asking(Path(own), upstream, {"use": "passcode", "file": file}) as gateway,
    ):
        before = gateway.cpu()
        lasted, seconds = at_once(gateway.port, most, inf, requests, refusals)
        cpu = (gateway.cpu() - before) / len(users) * 1000
    waited = [seconds for seconds, _ in refusals]
    reasons.update(f"{reason} with {most} at once" for _, reason in refusals)
    return {
        _RATE: Sample(len(lasted) / seconds, cpu),
        _REFUSED: Sample(len(refusals)),
        _LONGEST: Sample(max(lasted + waited)),
        _IN_VAIN: Sample(max(waited, default=0)),
    }
