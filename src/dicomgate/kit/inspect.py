"""What is wrong with a credential: as the reason of a refusal, and as `dicomgate NAME inspect` shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from ..contract import Reject


class ClaimProblem(NamedTuple):
    """What is wrong with a credential: which claim, header or element, and why. The words are for the log.

    `until`: the Unix time at which that passes by itself, for a credential that does not count yet.
    """

    claim: str
    why: str
    until: float | None = None

    def __str__(self) -> str:
        return f"{self.claim}: {self.why}"


def rejected(problem: ClaimProblem, unchanged: Callable[[], bool]) -> Reject:
    """A refusal that stands as long as the problem does, and as long as the keys are `unchanged`."""
    return Reject(str(problem), lambda: (problem.until is None or time.time() < problem.until) and unchanged())


class Finding(NamedTuple):
    """One line of the table: what was looked at, the verdict on it, and its value or what is wrong with it."""

    what: str
    verdict: Literal["ok", "wrong", "-"]
    detail: str


def findings(
    values: Mapping[str, str | None],
    problems: Iterable[ClaimProblem],
    absent: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Finding]:
    """A finding for each claim in `values`, in that order, then one for each problem with any other claim.

    A claim whose value is None is shown with its text in `absent`, or as "not there". No value is shown of a claim with
    a problem.
    """
    wrong = [Finding(problem.claim, "wrong", problem.why) for problem in problems]
    for claim, value in values.items():
        own = [finding for finding in wrong if finding.what == claim]
        if own:
            yield from own
        elif value is None:
            yield Finding(claim, "-", absent.get(claim, "not there"))
        else:
            yield Finding(claim, "ok", value)
    yield from (finding for finding in wrong if finding.what not in values)
