"""All sinks of the audit as one: each record goes to all, and a login waits for those that are required."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from ..events.backlog import PATIENCE, Done
from ..events.events import Event, Operated
from .spool import Spool


class Sink(Protocol):
    """Where records go. `label` names it in metrics, `name` in messages.

    `trouble` is why a record cannot be kept now, `problem` what is wrong with it at all; "" for nothing. `records`
    and `lost` count since the start. `spool` is where messages wait for a collector, if they do.
    """

    label: str

    @property
    def records(self) -> int: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def lost(self) -> int: ...  # noqa: D102
    @property
    def trouble(self) -> str: ...  # noqa: D102
    @property
    def problem(self) -> str: ...  # noqa: D102
    @property
    def spool(self) -> Spool | None: ...  # noqa: D102

    def begin(self) -> None:
        """From now on it is used, and its settings count."""

    def __call__(self, event: Event) -> None:
        """Write its record, without waiting for that."""

    def keep(self, event: Event, done: Done) -> None:
        """Write its record, and call `done` once, in any thread: with "" when it is written, or with why it is not."""

    def operated(self, deed: Operated) -> None:
        """Write the record of what an operator did, without waiting for that."""

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until the records so far are written, or so many seconds."""

    def goes_on_in(self, successor: object) -> bool:
        """True if the successor has taken it over, so that it must not be closed."""

    def close(self, seconds: float = PATIENCE) -> None:
        """Write the records that wait, for at most so many seconds, and end."""


class Sinks:
    """The audit: `sinks`, of which some are `required`."""

    def __init__(self, sinks: Sequence[Sink], required: Sequence[Sink] = ()) -> None:
        self.sinks = tuple(sinks)
        self._required = tuple(required)
        self._others = tuple(sink for sink in sinks if sink not in required)

    @property
    def trouble(self) -> str:
        """Why a record cannot be kept now where it is required; "" if nothing is known."""
        for sink in self._required:
            if why := sink.trouble:
                return f"{sink.name}: {why}" if len(self.sinks) > 1 else why
        return ""

    def begin(self) -> None:
        """From now on these are used."""
        for sink in self.sinks:
            sink.begin()

    def __call__(self, event: Event) -> None:
        """Write its record everywhere, without waiting for that."""
        for sink in self.sinks:
            sink(event)

    def keep(self, event: Event, done: Done) -> None:
        """Write its record everywhere, and call `done` once, in any thread.

        With "" when it is written wherever that is required, or with the first reason why it is not.
        """
        for sink in self._others:
            sink(event)
        if len(self._required) == 1:
            self._required[0].keep(event, done)
        elif self._required:
            each = _Each(len(self._required), done)
            for sink in self._required:
                sink.keep(event, each)
        else:
            done("")

    def operated(self, deed: Operated) -> None:
        """Write the record of what an operator did, without waiting for that."""
        for sink in self.sinks:
            sink.operated(deed)

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until the records so far are written, or so many seconds for each. Not in the event loop."""
        for sink in self.sinks:
            sink.flush(seconds)

    def close(self, but: Sinks | None = None) -> None:
        """End them, but those that go on in others. Not in the event loop."""
        taken = () if but is None else but.sinks
        ending = [sink for sink in self.sinks if not any(map(sink.goes_on_in, taken))]
        threads = [threading.Thread(target=sink.close, name="audit-end", daemon=True) for sink in ending[1:]]
        for thread in threads:
            thread.start()
        if ending:
            ending[0].close()
        for thread in threads:
            thread.join()


class _Each:
    """Calls `done` once all have answered, or the first has failed."""

    def __init__(self, count: int, done: Done) -> None:
        self._left = count
        self._done = done
        self._lock = threading.Lock()

    def __call__(self, why: str) -> None:
        with self._lock:
            before, self._left = self._left, 0 if why else max(0, self._left - 1)
        if before and not self._left:
            self._done(why)
