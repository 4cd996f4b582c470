"""Tell the log and the audit what happened; wait for the audit where a login needs its record."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from ..audit.sinks import Sinks
from ..events.backlog import Done
from ..events.events import Event, Operated, Sink
from ..events.log import log_operated, write_log

_TIMEOUT = 2.0  # seconds for a record to be written
_NO_LOGIN = "no login without its audit record (audit_required): "


class Records:
    """Log and audit. Another `audit` counts from the next record on; None writes none.

    `watchers` are called with each event, too: in the event loop, so that they must be quick, and may not raise.
    """

    def __init__(self, audit: Sinks | None) -> None:
        self.audit = audit
        self.watchers: list[Sink] = []

    def tell(self, event: Event) -> None:
        """Log the event and write its record, without waiting for that."""
        self._show(event)
        if self.audit is not None:
            self.audit(event)

    def keep(self, event: Event, done: Done) -> None:
        """The same; then call `done` in the running loop: with "", or with why the record is not written in time."""
        self._begin(event).add_done_callback(lambda answer: done(answer.result()))

    async def kept(self, event: Event) -> str:
        """The same as a coroutine: "", or the reason."""
        return await self._begin(event)

    def operated(self, deed: Operated) -> None:
        """Log what an operator did, and write its record."""
        log_operated(deed)
        if self.audit is not None:
            self.audit.operated(deed)

    def trouble(self) -> str:
        """Why no login can have its record now; "" if nothing is known."""
        why = "there is no audit" if self.audit is None else self.audit.trouble
        return f"{_NO_LOGIN}{why}" if why else ""

    def _show(self, event: Event) -> None:
        write_log(event)
        for watch in self.watchers:
            watch(event)

    def _begin(self, event: Event) -> asyncio.Future[str]:
        self._show(event)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        timer = loop.call_later(_TIMEOUT, _resolve, answer, f"not written within {_TIMEOUT:g} s")
        answer.add_done_callback(lambda _: timer.cancel())
        if self.audit is None:
            _resolve(answer, "there is no audit")
        else:
            self.audit.keep(event, partial(_resolve_in, loop, answer))
        return answer


def _resolve(answer: asyncio.Future[str], why: str) -> None:
    if not answer.done():
        answer.set_result(f"{_NO_LOGIN}{why}" if why else "")


def _resolve_in(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[str], why: str) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_resolve, answer, why)
