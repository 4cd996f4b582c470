"""What `dicomgate NAME inspect` shows: a finding for each part of a credential that is checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple


class ClaimProblem(NamedTuple):
    """What is wrong with a credential: which claim, header or element, and why. The words are for the log."""

    claim: str
    why: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.why}"


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
