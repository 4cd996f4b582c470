"""The gateway in a thread of its own, as `dicomgate serve` would run it.

Rule: leaving the block stops it. No thread and no socket of it is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from ..admin.serving import serve_operators
from ..admin.thread import AdminThread
from ..net.listener import Address
from ..net.loop import Loop
from ..run.server import Server

_Result = TypeVar("_Result")
_PATIENCE = 60.0  # seconds, for one call


class RunningGateway:
    """A context manager: the gateway that a configuration file describes, in an event loop of its own."""

    def __init__(self, configuration: Path, *, debug: bool = False) -> None:
        """With `debug`, asyncio complains of calls from a foreign thread, and logs at its most talkative."""
        self._runner = asyncio.Runner(debug=debug, loop_factory=Loop)
        self._configuration = configuration
        self.server: Server
        self._operators: AdminThread | None = None
        self._draining: asyncio.Task[None] | None = None

    def __enter__(self) -> RunningGateway:
        """Start it. Raises ConfigError or StartError."""
        self._loop = self._runner.get_loop()
        self._thread = Thread(target=self._loop.run_forever, name="dicomgate")
        self._thread.start()
        try:
            self.server = self.call(Server.start(self._configuration))
            self._operators = self.call(serve_operators(self.server, self._drain))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Drain it, and end its loop."""
        try:
            self.call(self.server.drain())
        finally:
            self.close()

    @property
    def address(self) -> Address:
        """Where its first listener listens."""
        return next(iter(self.server.bound.values()))

    def call(self, what: Coroutine[Any, Any, _Result]) -> _Result:
        """Run the coroutine in the gateway's loop, and return its result. Raises what it raises, or TimeoutError."""
        return self.begin(what).result(_PATIENCE)

    def begin(self, what: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        """Run the coroutine in the gateway's loop; the result is there when it has ended."""
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    def close(self) -> None:
        """End the loop, and with it all that still runs there; the server is not stopped first."""
        if self._operators is not None:
            self.call(self._operators.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()

    def _drain(self) -> None:
        """What an operator asks for; in the gateway's loop."""
        self._draining = asyncio.ensure_future(self.server.drain())
