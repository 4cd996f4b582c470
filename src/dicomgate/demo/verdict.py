"""A row, what the client saw, what the PACS saw, what the audit says -> what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .client import Visit
from .pacs import Sighting
from .scenarios import Accepted, Row


@dataclass(frozen=True, slots=True)
class Result:
    """A row that was carried out; `audited` is the reason in the audit. It is right if `problems` is empty."""

    row: Row
    visit: Visit
    sighting: Sighting
    audited: str
    problems: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", list(_problems(self)))


def _problems(result: Result) -> Iterator[str]:
    row, visit, sighting = result.row, result.visit, result.sighting
    yield from visit.problems
    if visit.answer != row.answer:
        yield f"the client must see {row.answer}"
    connections, identities = (1, ["none"]) if isinstance(row.answer, Accepted) else (0, [])
    if sighting.connections != connections or sighting.identities != identities:
        yield f"the PACS must see {'one association without identity' if connections else 'no connection'}"
    if sighting.stored != visit.stored:
        yield "what the PACS stored is not what was sent"
    if not result.audited:
        yield "the audit must say why"
