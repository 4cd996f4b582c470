"""A thread with an event loop, in which pynetdicom's threads ask a LoginService.

Rule 1: every wait has a deadline: for the start, for an answer, for the end.
Rule 2: the thread starts with the first question (or `start`), and has ended when `close` returns.
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
"""Seconds to start the authenticators, and to stop them."""
_LOOK_AGAIN = 5.0
"""Seconds between two looks at the clock; a timer may outlive its association by that."""
_SLACK = 1.0
"""Seconds beyond the deadline of the LoginService. If there is no answer then, its loop is blocked."""


class LoginThread:
    """Asks a LoginService from any thread. Ends with `close`, or with the program."""

    def __init__(self, logins: LoginService) -> None:
        self.listener = logins.listener
        self.end_with_credential = logins.end_with_credential
        self.enforces_rules = logins.enforces_rules
        self._logins = logins
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> asyncio.AbstractEventLoop:
        """Start the authenticators, once; returns their event loop. Raises StartError and ConfigError."""
        if not self._lock.acquire(timeout=_PATIENCE):
            raise StartError("the authenticators are still starting")
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
        """The answer of the LoginService. Raises StartError, ConfigError or TimeoutError: then the caller refuses."""
        question = self._logins(attempt, user_identity, secured=secured, always=always)
        try:
            loop = self.start()
        except BaseException:
            question.close()
            raise
        return _wait(question, loop, self._logins.deadline + _SLACK)

    def close(self) -> None:
        """Stop the authenticators, end the thread. Logins under way and later ones are refused. Never raises."""
        if not self._lock.acquire(timeout=_PATIENCE):
            _log.error("an authenticator does not finish starting; its thread is left behind")
            return
        try:
            self._closed = True
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        finally:
            self._lock.release()
        if loop is not None and thread is not None:
            atexit.unregister(self.close)
            try:
                _wait(self._logins.__aexit__(None, None, None), loop, _PATIENCE)
            except Exception as error:  # noqa: BLE001
                _log.error("the authenticators failed to stop: %s", type(error).__name__)
            _end(loop, thread)

    def _entered(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(loop,), name="dicomgate", daemon=True)
        thread.start()
        try:
            _wait(self._logins.__aenter__(), loop, _PATIENCE)
        except TimeoutError:
            _end(loop, thread)
            raise StartError(f"the authenticators did not start within {_PATIENCE:g} s") from None
        except BaseException:
            _end(loop, thread)
            raise
        return loop, thread


def end_at(moment: datetime, association: Any) -> None:
    """Abort an association at this (aware) time if it still exists, even if its binding is closed by then."""
    _look(moment, ref(association))


def _look(moment: datetime, reference: ref[Any]) -> None:
    association = reference()
    if association is None or not association.is_established:
        return
    left = (moment - datetime.now(UTC)).total_seconds()
    if left > 0:
        # In short steps, because the clock may be set in the meantime.
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
        # Cancel the questions under way, so that the threads that wait for them go on.
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_SLACK))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    with suppress(RuntimeError):  # it was stopped already
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
