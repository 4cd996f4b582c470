"""The processes that ask one server, so many at a time, each with a deadline.

Rule 1: an answer or a `Failed` comes in time, whatever the server does. A worker that is late is killed.
Rule 2: who asked may hang up; the question goes on to its end. Clients that hang up must not cost a process each.
Rule 3: nothing waits in the event loop for a server, and nothing is left behind by `close`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import replace

from .messages import Answer, Failed, Question, read_answer, to_line
from .settings import Settings

_LONGEST_ANSWER = 1 << 20

_MOST_QUESTIONS = 500
"""Then a worker is replaced: bonsai loses memory, and with older Pythons a reference to None, at every bind."""

_GRACE = 1.0
"""Seconds beyond the deadline, after which a worker ends by itself."""


class Workers:
    """At most `most` processes for one server. They are started when they are needed, and kept."""

    def __init__(self, settings: Settings, most: int) -> None:
        self._settings = settings
        self._free = asyncio.Semaphore(most)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._asking: set[asyncio.Task[Answer]] = set()

    async def ask(self, question: Question, seconds: float) -> Answer:
        """The answer, within so many seconds. Raises only if cancelled."""
        task = asyncio.create_task(self._ask(question, seconds))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End every question and every process."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        for worker in self._all:
            worker.kill()
        for worker in self._all:
            await worker.ended()

    async def _ask(self, question: Question, seconds: float) -> Answer:
        begun = False
        try:
            async with asyncio.timeout(seconds), self._free:
                begun = True
                self._idle = [worker for worker in self._idle if worker.is_running]
                worker = self._idle.pop() if self._idle else await self._start()
                try:
                    answer = await worker.ask(replace(question, seconds=seconds + _GRACE))
                except BaseException:
                    worker.kill()
                    raise
        except TimeoutError:
            return Failed(f"no answer within {seconds:.2g} s" if begun else "all connections are busy", asked=begun)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            return Failed(f"the process that asks it ended or cannot be started ({type(error).__name__})")
        if worker.asked < _MOST_QUESTIONS:
            self._idle.append(worker)
        else:
            worker.kill()
        return answer

    async def _start(self) -> _Worker:
        self._all = {worker for worker in self._all if worker.is_running}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "dicomgate_ldap.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            limit=_LONGEST_ANSWER,
        )
        worker = _Worker(process)
        self._all.add(worker)
        worker.tell(self._settings)
        return worker


class _Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise EOFError
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self.asked = 0

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None and not self._output.at_eof()

    def tell(self, what: object) -> None:
        self._input.write(to_line(what))

    async def ask(self, question: Question) -> Answer:
        """The answer. Raises EOFError or OSError when the process ended, ValueError for what is no answer."""
        self.asked += 1
        self.tell(question)
        await self._input.drain()
        line = await self._output.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return read_answer(line)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._input.close()

    async def ended(self) -> None:
        await self._process.wait()


def _environment() -> dict[str, str]:
    """Ours, without what libldap would take from it; it then knows what ldap.conf(5) says, and these two."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LDAP")}
    return kept | {"LDAPTLS_PROTOCOL_MIN": "3.3", "LDAPTLS_REQSAN": "demand"}
