"""The sync/async border: pynetdicom's threads on one side, on the other one event loop in a daemon thread of ours.

Law 1: nobody waits here for ever: not for the start, not for an answer, not for the end.
Law 2: there is no thread before the first question (or `start`), and ours has ended when `close` returns.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from weakref import ref

from dicomgate import Attempt, StartError
from dicomgate.run.embedding import Admit, AssociateReject, LoginService, Refuse

_log = logging.getLogger("dicomgate.pynetdicom")
_Answer = TypeVar("_Answer")
_PATIENCE = 15.0
"""Seconds to enter the authenticators, and to leave them."""
_LOOK_AGAIN = 5.0
"""Seconds; so long a thread may outlive an association."""
_SLACK = 1.0
"""Seconds beyond the judge's own deadline: then its loop does not run."""


class Judging:
    """Asks a judge from any thread. Starts with the first question; ends with `close`, or with the program."""

    def __init__(self, judge: LoginService) -> None:
        self.listener = judge.listener
        self.end_with_credential = judge.end_with_credential
        self._judge = judge
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> asyncio.AbstractEventLoop:
        """Enter the judge, once; the loop in which it sits. Raises StartError and ConfigError, and starts nothing."""
        if not self._lock.acquire(timeout=_PATIENCE):
            raise StartError("the authenticators are still being entered")
        try:
            if self._closed:
                raise StartError("it was closed")
            if self._loop is None:
                self._loop, self._thread = self._entered()
                atexit.register(self.close)
            return self._loop
        finally:
            self._lock.release()

    def ask(
        self, attempt: Attempt, user_identity: bytes | None, *, secured: bool, always: AssociateReject | None
    ) -> Admit | Refuse:
        """The judge's answer, see there. Raises StartError, ConfigError or TimeoutError; the answer is then no."""
        question = self._judge(attempt, user_identity, secured=secured, always=always)
        try:
            loop = self.start()
        except BaseException:
            question.close()
            raise
        return _wait(question, loop, self._judge.deadline + _SLACK)

    def close(self) -> None:
        """Leave the judge and end the thread. Who asks after it, or is asking still, is refused. Never raises."""
        if not self._lock.acquire(timeout=_PATIENCE):
            _log.error("an authenticator cannot be entered; its thread is left behind")
            return
        try:
            self._closed = True
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        finally:
            self._lock.release()
        if loop is not None and thread is not None:
            atexit.unregister(self.close)
            try:
                _wait(self._judge.__aexit__(None, None, None), loop, _PATIENCE)
            except Exception as error:  # noqa: BLE001
                _log.error("the authenticators could not be left: %s", type(error).__name__)
            _end(loop, thread)

    def _entered(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(loop,), name="dicomgate", daemon=True)
        thread.start()
        try:
            _wait(self._judge.__aenter__(), loop, _PATIENCE)
        except TimeoutError:
            _end(loop, thread)
            raise StartError(f"the authenticators cannot be entered within {_PATIENCE:g} s") from None
        except BaseException:
            _end(loop, thread)
            raise
        return loop, thread


def end_at(moment: datetime, association: Any) -> None:
    """Abort an association then (aware), if it is still there; whether those who admitted it are closed or not."""
    _look(moment, ref(association))


def _look(moment: datetime, reference: ref[Any]) -> None:
    association = reference()
    if association is None or not association.is_established:
        return
    left = (moment - datetime.now(UTC)).total_seconds()
    if left > 0:
        # Not all of it at once: it is the calendar's time that counts, and that may be set meanwhile.
        timer = threading.Timer(min(left, _LOOK_AGAIN), _look, (moment, reference))
        timer.name, timer.daemon = "dicomgate expiry", True
        timer.start()
    else:
        _log.warning("an association ends with its credential, at %s", moment.isoformat())
        association.abort()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # Who is asked still, is told so: its task is cancelled, and the thread that waits for it goes on.
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_SLACK))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    with suppress(RuntimeError):  # somebody else has stopped it
        loop.call_soon_threadsafe(loop.stop)
    thread.join(_PATIENCE)
    if thread.is_alive():
        _log.error("an authenticator blocks the event loop; its thread is left behind")


def _wait(what: Coroutine[Any, Any, _Answer], loop: asyncio.AbstractEventLoop, seconds: float) -> _Answer:
    try:
        answer = asyncio.run_coroutine_threadsafe(what, loop)
    except RuntimeError:
        what.close()  # the loop was closed a moment ago
        raise
    try:
        return answer.result(seconds)
    except TimeoutError:
        answer.cancel()
        raise
