"""Real logins: associations a second and CPU with each authenticator, and users who all come for the first time.

Each authenticator has a `dicomgate serve` of its own, with the default [throttle]. One that cannot be set up here is
left out, and a note says why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from . import credentials
from .associations import Refusal, at_once
from .contestants import Contestant, asking, make_certificate
from .credentials import Login, Requests
from .newcomers import all_for_the_first_time
from .pacs import pacs
from .processes import BenchError
from .results import Bar, Comparison, Options, Sample, interleave, tell

_TRIVIAL = "trivial"
_PASSCODE, _SQLITE, _POSTGRESQL = "passcode file", "SQLite", "PostgreSQL"
_LDAP, _LDAP_REMEMBERING = "LDAP", "LDAP with remember"
_RADIUS, _RADIUS_REMEMBERING = "RADIUS", "RADIUS with remember"
_RS256, _ES256, _SAML, _KERBEROS = "JWT RS256", "JWT ES256", "SAML", "Kerberos"

_LOGINS: dict[str, Callable[[Path, ExitStack], Login]] = {
    _TRIVIAL: credentials.trivial,
    _PASSCODE: credentials.users_file,
    _SQLITE: credentials.sqlite,
    _POSTGRESQL: credentials.postgresql,
    _LDAP: credentials.ldap,
    _LDAP_REMEMBERING: credentials.ldap_remembering,
    _RADIUS: credentials.radius,
    _RADIUS_REMEMBERING: credentials.radius_remembering,
    _RS256: credentials.jwt_rs256,
    _ES256: credentials.jwt_es256,
    _SAML: credentials.saml_assertions,
    _KERBEROS: credentials.kerberos_tickets,
}
_LEAST = {
    _PASSCODE: 0.9, _SQLITE: 0.6, _POSTGRESQL: 0.6, _LDAP_REMEMBERING: 0.8, _RS256: 0.8, _ES256: 0.8, _SAML: 0.5,
    _KERBEROS: 0.5,
}  # fmt: skip
"""Of the rate with the trivial authenticator."""
_BARS = (
    *(Bar(against=_TRIVIAL, least=least, contestant=name) for name, least in _LEAST.items()),
    Bar(least=300, contestant=_LDAP),
)
_TITLES = {1: "One at a time", 16: "16 at once"}
_FASTEST = 2500
"""Associations a second for which fresh credentials are prepared."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A gateway with one authenticator, and the logins that it accepts."""

    contestant: Contestant
    requests: Requests


def run(options: Options, folder: Path) -> list[Comparison]:
    """All authenticators one at a time and 16 at once; then 200 users of the file, each for the first time."""
    with ExitStack() as stack:
        server = stack.enter_context(pacs(folder, make_certificate(folder)))
        served, notes = {}, []
        for name, make in _LOGINS.items():
            own = folder / name.replace(" ", "-")
            own.mkdir()
            try:
                served[name] = stack.enter_context(_serve(own, make, server.port))
            except (BenchError, ImportError, RuntimeError, pytest.skip.Exception) as why:
                notes.append(f"{name} was left out: {_in_short(why)}")
                tell(f" {notes[-1]}")
        comparisons = [_compare(count, served, options, notes) for count in _TITLES]
        return comparisons + all_for_the_first_time(options, folder, server.port)


@contextmanager
def _serve(folder: Path, make: Callable[[Path, ExitStack], Login], upstream: int) -> Iterator[_Served]:
    """A gateway with that authenticator. Raises BenchError if it does not start."""
    with ExitStack() as stack:
        login = make(folder, stack)
        yield _Served(stack.enter_context(asking(folder, upstream, login.table)), login.requests)


def _compare(count: int, served: dict[str, _Served], options: Options, notes: list[str]) -> Comparison:
    seconds = 0.2 if options.quick else 2.0
    refused = Counter[str]()

    def take(name: str) -> Sample:
        contestant, refusals = served[name].contestant, list[Refusal]()
        requests = served[name].requests(int(seconds * _FASTEST))
        contestant.check()
        before = contestant.cpu()
        lasted, taken = at_once(contestant.port, count, seconds, requests, refusals)
        refused.update(f"{name}: refused with RJ {reason}" for _, reason in refusals)
        if not lasted:
            raise BenchError(f"{name}: no login succeeded")
        return Sample(len(lasted) / taken, (contestant.cpu() - before) / len(lasted) * 1000)

    rounds = interleave({name: partial(take, name) for name in served}, options.rounds)
    told = (f"{reason}: {times}, in all rounds." for reason, times in sorted(refused.items()))
    return Comparison(_TITLES[count], "associations/s", rounds, (_TRIVIAL,), "ms", _BARS, (*notes, *told))


def _in_short(why: BaseException) -> str:
    """The last line of what was said, without when, where and what would have been right."""
    line = str(why).strip().rpartition("\n")[2]
    return re.sub(r"^.* ERROR \S+: ", "", line).partition(";")[0]
