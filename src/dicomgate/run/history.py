"""What has become of a running gateway: when it started, its reloads, and whether it is draining."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class History:
    """Times are aware, in UTC. `generation` counts the configurations that were used: 1 from the start on.

    `since` is when the present one began, `problems` are why the last reload failed, () if it did not, and `failed_at`
    is when.
    """

    started: datetime
    generation: int = 1
    since: datetime = field(init=False)
    failures: int = 0
    problems: tuple[str, ...] = ()
    failed_at: datetime | None = None
    draining: bool = False

    def __post_init__(self) -> None:
        self.since = self.started

    def reloaded(self, now: datetime) -> None:
        """Another configuration is used from now on."""
        self.generation += 1
        self.since, self.problems, self.failed_at = now, (), None

    def failed(self, now: datetime, problems: tuple[str, ...]) -> None:
        """The configuration could not be used."""
        self.failures += 1
        self.problems, self.failed_at = problems, now
