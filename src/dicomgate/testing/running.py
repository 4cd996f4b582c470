"""The gateway in a thread of its own, as `dicomgate serve` would run it.

Rule: leaving the block stops it. No thread and no socket of it is left.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from ..net.listener import Address
from ..run.server import Server


class RunningGateway:
    """A context manager: the gateway that a configuration file describes. `address` is where it listens."""

    def __init__(self, configuration: Path) -> None:
        self.address: Address
        self._configuration = configuration
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="dicomgate")
        self._started: Future[Address] = Future()
        self._stop: Future[None] = Future()

    def __enter__(self) -> RunningGateway:
        """Start it. Raises ConfigError or StartError."""
        self._thread.start()
        try:
            self.address = self._started.result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set_result(None)
        self._thread.join()

    async def _run(self) -> None:
        try:
            server = await Server.start(self._configuration)
        except BaseException as error:  # noqa: BLE001 (told in the thread that asked)
            self._started.set_exception(error)
            return
        self._started.set_result(next(iter(server.bound.values())))
        await asyncio.wrap_future(self._stop)
        await server.drain()
