"""The thread that serves operators: an event loop of its own, beside the gateway's.

Rule 1: nothing that happens here ends the gateway, or holds it up: what is wrong is logged.
Rule 2: as long as no configuration asks for it, there is no thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from ..run.generation import Generation
from ..run.server import Server

_log = logging.getLogger("dicomgate.operator")
_PATIENCE = 3.0  # seconds that the gateway waits for it, at its start and at its end
_BREATH = 0.0005  # seconds


async def breathe() -> None:
    """Between two pieces of long work: while a thread of Python works, all others wait, the gateway's own too."""
    await asyncio.sleep(_BREATH)


class Service(Protocol):
    """Something that the thread serves. Both methods are called in its event loop, one at a time."""

    async def adopt(self, generation: Generation) -> None:
        """Serve what this generation asks for from now on; that may be what is served already, or nothing."""

    async def close(self) -> None:
        """Serve nothing any more."""


class AdminThread:
    """Serves what the configuration of a gateway asks for, its reloads included, from `begin` to `close`.

    `makers` make the services, by the name of their table. They are called in the thread, when a configuration has that
    table for the first time. `begin` and `close` are for the gateway's event loop, and raise nothing.
    """

    def __init__(self, server: Server, makers: Mapping[str, Callable[[], Service]]) -> None:
        self._server = server
        self._makers = makers
        self._services: dict[str, Service] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread
        self._one_at_a_time = asyncio.Lock()
        self._ending = False

    async def begin(self) -> None:
        """Serve from now on."""
        self._server.adopted.append(self._heard)
        await _finished(self._heard(self._server.generation))

    async def close(self) -> None:
        """Serve nothing any more, and end the thread."""
        self._server.adopted.remove(self._heard)
        if self._loop is None:
            return
        await _finished(asyncio.run_coroutine_threadsafe(self._close(), self._loop))
        self._ending = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, _PATIENCE)
        if self._thread.is_alive():
            _log.error("the thread that serves operators does not end; it is abandoned")

    def _heard(self, generation: Generation) -> Future[None] | None:
        """The gateway has this configuration; what is returned is done when it is served. None: there is no thread."""
        tables = generation.assembly.configuration.tables
        wanted = [name for name in self._makers if getattr(tables, name) is not None]
        if self._loop is None and wanted:
            self._loop = self._started()
        if self._loop is None:
            return None
        return asyncio.run_coroutine_threadsafe(self._adopt(generation, wanted), self._loop)

    def _started(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the thread, which begins; None if it cannot."""
        loop = None
        try:
            loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(loop,), name="operators", daemon=True)
            self._thread.start()
        except (OSError, RuntimeError) as error:  # there are no more descriptors or threads to be had
            _log.error("what serves operators cannot begin: %s; the gateway goes on without it", error)
            if loop is not None:
                loop.close()
            return None
        return loop

    # From here on in the thread.

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._ending:
            try:
                loop.run_forever()
            except BaseException:  # noqa: BLE001 (a library may call sys.exit: it ends no gateway)
                _log.exception("a defect in what serves operators")
        loop.run_until_complete(_cancelled(asyncio.all_tasks(loop)))
        loop.close()

    async def _adopt(self, generation: Generation, wanted: Sequence[str]) -> None:
        async with self._one_at_a_time:
            for name, make in self._makers.items():
                try:
                    if name in wanted and name not in self._services:
                        self._services[name] = make()
                    if name in self._services:
                        await self._services[name].adopt(generation)
                except Exception:  # noqa: BLE001 (rule 1)
                    _log.exception("a defect: what [%s] asks for is not served", name)

    async def _close(self) -> None:
        async with self._one_at_a_time:
            for name, service in self._services.items():
                try:
                    await service.close()
                except Exception:  # noqa: BLE001 (rule 1)
                    _log.exception("a defect at the end of what [%s] asks for", name)


async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_PATIENCE / 2)


async def _finished(asked: Future[None] | None) -> None:
    if asked is not None:
        _, late = await asyncio.wait((asyncio.wrap_future(asked),), timeout=_PATIENCE)
        if late:
            _log.error("what serves operators does not answer within %g s; the gateway goes on without it", _PATIENCE)
