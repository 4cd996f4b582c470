"""The threads of an authenticator whose `authenticate` is a plain method, kept from call to call.

To start a thread takes as long as many a verification.

Rule 1: they are daemons. Those of an executor are joined when the process ends, and one that hangs would keep it alive
        for ever.
Rule 2: each ends after some hundred calls, and when there was nothing to do for a while: a library may keep things for
        its thread, as lxml keeps every name that it has seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

CALLS = 500
_IDLE = 5.0  # seconds

Job = Callable[[], object]


class Workers:
    """As many threads as there are jobs at a time: whoever calls `run` limits them. Thread-safe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._idle = 0  # threads for which there is no job in the queue
        self._closed = False

    def run(self, job: Job) -> None:
        """Do this job, which raises nothing, in a thread. Raises RuntimeError if none can be started."""
        with self._lock:
            kept = self._idle > 0
            if kept:
                self._idle -= 1
        if not kept:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        self._jobs.put(job)

    def close(self) -> None:
        """Let each thread end once it has nothing to do."""
        with self._lock:
            self._closed = True
            for _ in range(self._idle):
                self._jobs.put(None)
            self._idle = 0

    def reopen(self) -> None:
        """Keep threads again."""
        self._closed = False

    def _work(self) -> None:
        job = self._jobs.get()
        calls = 0
        while job is not None:
            job()
            job = None  # it holds a credential, and the next one may be long in coming
            calls += 1
            if calls < CALLS:
                job = self._next()

    def _next(self) -> Job | None:
        """The next job; None to end."""
        with self._lock:
            if self._closed:
                return None
            self._idle += 1
        try:
            return self._jobs.get(timeout=_IDLE)
        except Empty:
            with self._lock:
                if self._idle:
                    self._idle -= 1
                    return None
        return self._jobs.get()  # it came at the last moment
