"""What has become of a running gateway: when it started, its reloads, and whether it is draining."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class History:
    """Times are aware, in UTC. `generation` counts the configurations that were used: 1 from the start on.

    `since` is when the present one began, `problems` are why the last reload failed, () if it did not. `watchers` are
    called when a reload or the drain begins, and when a reload has ended.
    """

    started: datetime
    generation: int = 1
    since: datetime = field(init=False)
    failures: int = 0
    problems: tuple[str, ...] = ()
    reloading: bool = False
    draining: bool = False
    watchers: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.since = self.started

    @contextmanager
    def reload(self) -> Iterator[None]:
        """While the configuration is read again."""
        self.reloading = True
        self._tell()
        try:
            yield
        finally:
            self.reloading = False
            self._tell()

    def reloaded(self, now: datetime) -> None:
        """Another configuration is used from now on."""
        self.generation += 1
        self.since, self.problems = now, ()

    def failed(self, problems: tuple[str, ...]) -> None:
        """The configuration could not be used."""
        self.failures += 1
        self.problems = problems

    def drain(self) -> None:
        """No more associations are taken."""
        self.draining = True
        self._tell()

    def _tell(self) -> None:
        for watch in self.watchers:
            watch()
