"""The ticket for one service: obtained from the KDC before it is needed, and again before it ends (RFC 4120 3.1, 3.3).

Rule 1: one request at a time, for all who wait for it, and none within seconds of the last one.
Rule 2: nobody waits for the KDC while there is a ticket that has not ended.
Rule 3: libkrb5 never reads the operator's file, nor writes it: it gets a copy in memory.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Protocol

from dicomgate import ConfigError
from dicomgate.kit.files import read_private
from dicomgate.kit.watched import Watched

from . import gss
from .errors import BAD_INTEGRITY, KerberosError
from .keytab import Entry, Keys, usable_keys
from .memory import MemoryCache, MemoryFile

_log = logging.getLogger(__name__)
_AGAIN = 5.0
"""Seconds after an answer of the KDC, or none, before it is asked again."""
_WRONG_KEY = "the KDC has another key than the keytab"
_LARGEST = 1_048_576
_CACHE = (b"\x05\x03", b"\x05\x04")
"""The versions of a credential cache's file that libkrb5 has written since 1997."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A ticket in the cache of these credentials, which live in `memory`. The times are Unix time."""

    credentials: Any = field(repr=False)
    memory: tuple[object, ...] = field(repr=False)
    made_of: object = field(repr=False)
    ends: float
    renewed: float


class Source(Protocol):
    """Whose tickets they are."""

    def open(self) -> tuple[Any, tuple[object, ...], object]:
        """The credentials, the memory that they need, and what they were made of. Raises KerberosError."""
        ...

    def is_current(self, made_of: object) -> bool:
        """True if the operator's file has not changed since."""
        ...


class KeytabSource:
    """A principal whose keys are in a keytab. Raises ConfigError when it is made, never later."""

    def __init__(self, keytab: Path, principal: str) -> None:
        self._principal = principal
        self._entries: Watched[list[Entry]] = Watched([keytab], lambda: usable_keys(keytab, principal), log=_log)

    def open(self) -> tuple[Any, tuple[object, ...], object]:
        """With an empty cache: its first use requests a ticket with the keys."""
        entries = self._entries.current()
        keys, cache = Keys(entries), MemoryCache()
        credentials = gss.initiating({"client_keytab": keys.name, "ccache": cache.name}, self._principal)
        return credentials, (keys, cache), entries

    def is_current(self, made_of: object) -> bool:
        """True if the keytab is the same."""
        return self._entries.is_current(made_of)  # type: ignore[arg-type]


class CacheSource:
    """Whoever a credential cache's file is of; another program renews it. Raises ConfigError when it is made."""

    def __init__(self, cache: Path) -> None:
        self._content: Watched[bytes] = Watched([cache], lambda: _read_cache(cache), log=_log)

    def open(self) -> tuple[Any, tuple[object, ...], object]:
        """With a copy of the cache, to which the ticket for the service is added."""
        content = self._content.current()
        copy = MemoryFile(content)
        return gss.initiating({"ccache": copy.name}), (copy,), content

    def is_current(self, made_of: object) -> bool:
        """True if the cache is the same."""
        return self._content.is_current(made_of)  # type: ignore[arg-type]


class Tickets:
    """Tickets for `service` ("dicom/host@REALM"). Thread-safe."""

    def __init__(self, service: str, source: Source) -> None:
        self._service = service
        self._source = source
        self._lock = Lock()
        self._request: Future[Held | KerberosError] | None = None
        self._answered = 0.0
        self._failed = ""
        self._held: Held | None = None

    def current(self) -> Held:
        """A ticket that has not ended. Raises KerberosError."""
        held, now = self._held, time.time()
        if held is None or held.ends <= now:
            return self.outcome(self.request().result())
        if held.renewed <= now or not self._source.is_current(held.made_of):
            self.request()
        return held

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
            self._request = request
            return request

    @staticmethod
    def outcome(answer: Held | KerberosError) -> Held:
        """The ticket that was requested. Raises KerberosError."""
        if isinstance(answer, KerberosError):
            raise KerberosError(str(answer), answer.number)  # a new one: many may raise it at the same time
        return answer

    def _ask(self, request: Future[Held | KerberosError]) -> None:
        try:
            answer: Held | KerberosError = self._obtain()
            self._failed = ""
        except KerberosError as error:
            answer = KerberosError(_WRONG_KEY, error.number) if error.number == BAD_INTEGRITY else error
            if str(answer) != self._failed:
                self._failed = str(answer)
                _log.warning("no ticket for %s: %s", self._service, answer)
        except BaseException as error:  # noqa: BLE001 (a defect; who waits for it must not wait for ever)
            self._answered = time.monotonic()
            request.set_exception(error)
            return
        self._answered = time.monotonic()
        request.set_result(answer)

    def _obtain(self) -> Held:
        credentials, memory, made_of = self._source.open()
        ends, now = gss.ticket_end(self._service, credentials), time.time()
        self._held = held = Held(credentials, memory, made_of, ends, now + (ends - now) / 2)
        return held


def _read_cache(path: Path) -> bytes:
    content = read_private(path, _LARGEST)
    if not content.startswith(_CACHE):
        raise ConfigError(f"{path}: this is not a file of a credential cache")
    return content
