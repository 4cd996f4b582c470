"""The ticket for one service: obtained from the KDC before it is needed, and again before it ends (RFC 4120 3.1, 3.3).

Rule 1: one request at a time, for all who wait for it, and none within seconds of the last one.
Rule 2: nobody waits for the KDC while there is a ticket that has not ended.
Rule 3: libkrb5 never reads the operator's file, nor writes it: it gets a copy in memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

from dicomgate import ConfigError
from dicomgate.kit.files import read_private
from dicomgate.kit.watched import Watched

from . import gss
from .errors import BAD_INTEGRITY, KerberosError
from .keytab import Keys, usable_keys
from .memory import MemoryCache, MemoryFile

_log = logging.getLogger(__name__)
PATIENCE = 1.5
"""Seconds after a request in which somebody waits for its answer; libkrb5 waits for far longer."""
_AGAIN = 5.0
"""Seconds after an answer of the KDC, or none, before it is asked again."""
_WRONG_KEY = "the KDC has another key than the keytab"
_LARGEST = 1_048_576
_CACHE = (b"\x05\x03", b"\x05\x04")
"""The versions of a credential cache's file that libkrb5 has written since 1997."""


class Opened(NamedTuple):
    """Credentials, the memory that they need as long as they are used, and whether they are made of the file of now."""

    credentials: Any
    memory: tuple[object, ...]
    is_current: Callable[[], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A ticket in the cache of these credentials, when it ends, and when to renew it. The times are Unix time."""

    opened: Opened = field(repr=False)
    ends: float
    renewed: float


def of_keytab(keytab: Path, principal: str) -> Callable[[], Opened]:
    """Opens the credentials of a principal whose keys are in this file. Raises ConfigError now, KerberosError then."""
    watched = Watched([keytab], lambda: usable_keys(keytab, principal), log=_log)

    def opened() -> Opened:
        entries = watched.current()
        keys, cache = Keys(entries), MemoryCache()  # empty: its first use requests a ticket with the keys
        credentials = gss.initiating({"client_keytab": keys.name, "ccache": cache.name}, principal)
        return Opened(credentials, (keys, cache), partial(watched.is_current, entries))

    return opened


def of_cache(cache: Path) -> Callable[[], Opened]:
    """The same for whoever the credential cache in this file is of; another program renews it."""
    watched = Watched([cache], lambda: _read_cache(cache), log=_log)

    def opened() -> Opened:
        content = watched.current()
        copy = MemoryFile(content)  # the ticket for the service is added to the copy
        return Opened(gss.initiating({"ccache": copy.name}), (copy,), partial(watched.is_current, content))

    return opened


class Tickets:
    """Tickets for `service` ("dicom/host@REALM"). Thread-safe."""

    def __init__(self, service: str, opened: Callable[[], Opened]) -> None:
        self._service = service
        self._open = opened
        self._lock = Lock()
        self._request: Future[Held | KerberosError] | None = None
        self._asked = self._answered = 0.0
        self._failed = ""
        self._held: Held | None = None

    def current(self) -> Held:
        """A ticket that has not ended. Raises KerberosError."""
        held, now = self._held, time.time()
        if held is None or held.ends <= now:
            return self._wait()
        if held.renewed <= now or not held.opened.is_current():
            self.request()
        return held

    def _wait(self) -> Held:
        request = self.request()
        try:
            return self.outcome(request.result(max(0.0, self._asked + PATIENCE - time.monotonic())))
        except TimeoutError:
            raise KerberosError("the KDC has not answered yet") from None

    def request(self) -> Future[Held | KerberosError]:
        """Ask the KDC for another ticket, unless it was asked a moment ago; for `outcome`."""
        with self._lock:
            last = self._request
            if last is not None and (not last.done() or time.monotonic() - self._answered < _AGAIN):
                return last
            request: Future[Held | KerberosError] = Future()
            request.set_running_or_notify_cancel()  # or one who gives up waiting would cancel it for all
            # A daemon: libkrb5 may wait for a KDC for half a minute, and a gateway that stops must not.
            Thread(target=self._ask, args=(request,), name="kerberos-ticket", daemon=True).start()
            self._request, self._asked = request, time.monotonic()
            return request

    @staticmethod
    def outcome(answer: Held | KerberosError) -> Held:
        """The ticket that was requested. Raises KerberosError."""
        if isinstance(answer, KerberosError):
            raise KerberosError(str(answer), answer.number)  # a new one: many may raise it at the same time
        return answer

    def _ask(self, request: Future[Held | KerberosError]) -> None:
        try:
            answer = self._obtain()
        except BaseException as error:  # noqa: BLE001 (a defect; who waits for it must not wait for ever)
            self._answered = time.monotonic()
            request.set_exception(error)
            return
        failed = str(answer) if isinstance(answer, KerberosError) else ""
        if failed and failed != self._failed:
            _log.warning("no ticket for %s: %s", self._service, failed)
        self._failed = failed
        self._answered = time.monotonic()
        request.set_result(answer)

    def _obtain(self) -> Held | KerberosError:
        try:
            opened = self._open()
            ends, now = gss.ticket_end(self._service, opened.credentials), time.time()
        except KerberosError as error:
            return KerberosError(_WRONG_KEY, error.number) if error.number == BAD_INTEGRITY else error
        except OSError as error:  # no descriptor left, for example
            return KerberosError(error.strerror or str(error), error.errno or 0)
        self._held = held = Held(opened, ends, now + (ends - now) / 2)
        return held


def _read_cache(path: Path) -> bytes:
    content = read_private(path, _LARGEST)
    if not content.startswith(_CACHE):
        raise ConfigError(f"{path}: this is not a file of a credential cache")
    return content
