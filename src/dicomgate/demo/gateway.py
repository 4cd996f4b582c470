"""The gateway in a thread of its own, as `dicomgate serve` would run it; its log goes to a file.

Rule: leaving the block stops it. No thread, socket or log handler of it is left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from ..server import Bind, Server
from .folder import AUDIT, LOG

_LOGGER = logging.getLogger("dicomgate")
_PATIENCE = 5.0  # seconds; the audit has a record some milliseconds after the peer has its answer


@contextmanager
def gateway_log(folder: Path) -> Iterator[None]:
    """Send what the gateway logs to a file in the folder, and nowhere else."""
    level, propagate = _LOGGER.level, _LOGGER.propagate
    handler = logging.FileHandler(folder / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagate
        handler.close()


class RunningGateway:
    """A context manager: the gateway that a configuration file describes. `address` is where it listens."""

    def __init__(self, configuration: Path) -> None:
        self.address: Bind
        self._configuration = configuration
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="dicomgate")
        self._started: Future[Bind] = Future()
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
        server = Server(self._configuration)
        try:
            await server.start()
        except BaseException as error:  # noqa: BLE001 (told in the thread that asked)
            self._started.set_exception(error)
            return
        self._started.set_result(next(iter(server.bound.values())))
        await asyncio.wrap_future(self._stop)
        await server.drain()


def audited(folder: Path, count: int) -> list[str]:
    """What the audit says of the first `count` associations, in their order; "" where it says nothing."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        lines = (folder / AUDIT).read_text("ascii").splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        opened = [record["id"] for record in records if record["event"] == "Opened"][:count]
        closed = {record["id"] for record in records if record["event"] == "Closed"}
        if (len(opened) == count and closed.issuperset(opened)) or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    told = dict.fromkeys(opened, "")
    for record in records:
        if record["id"] in told:
            match record["event"]:
                case "Decided" if record["outcome"] == "accept":
                    told[record["id"]] = f"accepted by {record['authenticator']} as {record['user']}"
                case "Refused":
                    told[record["id"]] = record["reason"]
    return [*told.values(), *[""] * (count - len(told))]
