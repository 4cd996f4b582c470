"""Requests to the listener of `[admin]`, as bytes: HTTP, forms, logins, what scripts ask.

Promise: whatever comes, there is no defect, and each answer has a status that HTTP has for it. Nothing is done but for
an operator: with the cookie and the token of a login, or with HTTP Basic where scripts ask.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from uvicorn.server import ServerState

from dicomgate import Accept, Attempt, Reject
from dicomgate.admin.operator import Ended
from dicomgate.admin.status import Status
from dicomgate.admin.web.application import make_application
from dicomgate.admin.web.connections import _Connection, configured
from dicomgate.admin.web.logins import Admitted, Login, _key
from dicomgate.admin.web.site import Site
from dicomgate.auth.chain import Verdict
from dicomgate.errors import DicomgateError
from dicomgate.run.page import Page
from dicomgate.sessions.listed import SessionStatus
from dicomgate.state.protocol import Count

from ..corpora import files
from ..engine import Target

_COOKIE, _TOKEN, _PASSCODE = "k" * 43, "t" * 43, "correct horse"
_BASIC = b64encode(f"alice:{_PASSCODE}".encode())
_SURE = _BASIC.rstrip(b"=")[:-1]  # the last letter has bits that say nothing
_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_HOST = b"127.0.0.1:8080"
_STATUSES = {100, 200, 303, 307, 400, 401, 403, 404, 405, 409, 413, 415, 431, 503}
_PATIENCE = 1.0  # seconds after the client has gone
_TURNS = 200  # of the event loop, in which what needs no more bytes is done
_LOOP = asyncio.new_event_loop()
_STATUS = Status("gate-1", "1", _NOW, 1, _NOW, (), False, 1, 0, {"max_associations": 9, "max_unauthenticated": 9},
                 (), (), (), (), (), ())  # fmt: skip
_SESSION = SessionStatus("0123456789ab", "gate-1", _NOW, "clinical", "192.0.2.1", 5, "alice", "alice", "staff", (),
                         "CT1", "PACS", "pacs", None, None)  # fmt: skip


class _Operator:
    """One that does nothing, and remembers what it was told to do."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def status(self) -> Status:
        return _STATUS

    def sessions(self) -> object:
        return iter((_SESSION,))

    async def throttled(self) -> list[Count]:
        return [Count("account staff/alice", 3, _NOW, _NOW, locked=False)]

    async def kick(self, ids: list[str], by: str, reason: str) -> Ended:
        self.done.append("kick")
        return Ended({"gate-1": 0}, ("gate-2",), "")

    async def kick_user(self, *about: object) -> Ended:
        self.done.append("kick user")
        return Ended({"gate-1": 1}, (), "")

    async def clear(self, keys: list[str], by: str) -> int:
        self.done.append("clear")
        return 0

    async def reload(self, by: str) -> tuple[str, ...]:
        self.done.append("reload")
        return ("line 5: wrong",)

    async def drain(self, by: str) -> None:
        self.done.append("drain")

    async def order(self, *about: object) -> object:
        self.done.append("order")
        raise DicomgateError("the configuration has no such address")

    async def note(self, *about: object, problem: str = "") -> None:
        pass


class _Transport:
    """A connection that takes everything at once."""

    def __init__(self) -> None:
        self.taken, self.closed = b"", False

    def get_extra_info(self, name: str) -> object:
        return {"peername": ("127.0.0.1", 40000), "sockname": ("127.0.0.1", 8080)}.get(name)

    def write(self, data: bytes) -> None:
        self.taken += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class _Defects(logging.Handler):
    """Remembers what the page's log says of its defects."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def _begin(_: object, attempt: Attempt, done: Callable[[Verdict], None]) -> asyncio.Handle:
    """Judge a login at the page: alice has a passcode, and nobody else has one."""
    identity = attempt.identity
    good = identity is not None and (identity.primary, identity.secondary) == (b"alice", _PASSCODE.encode())
    return _LOOP.call_soon(done, Verdict(Accept("alice") if good else Reject("no"), "staff"))


@cache
def _site() -> tuple[Site, _Operator, Any, _Defects]:
    """The site with nothing but stand-ins behind it, its operator, uvicorn's configuration, and what is logged."""
    chain = SimpleNamespace(links=[SimpleNamespace(name="staff")])
    page = Page(("127.0.0.1", 8080), None, frozenset(), (), b"none", cast(Any, chain), 5.0,
                frozenset(), frozenset(("user:staff/alice",)), audit_required=False)  # fmt: skip
    tables = SimpleNamespace(audit_required=False)
    assembly = SimpleNamespace(page=page, configuration=SimpleNamespace(tables=tables), links={}, upstreams={},
                               uses=SimpleNamespace(acquire=int, release=int))  # fmt: skip
    guard = SimpleNamespace(begin=_begin)
    server = SimpleNamespace(
        loop=_LOOP,
        generation=SimpleNamespace(assembly=assembly, protection=SimpleNamespace(guard=guard)),
        history=SimpleNamespace(draining=False),
        records=SimpleNamespace(trouble=str, operated=lambda _: None),
        users=SimpleNamespace(shut_outs=SimpleNamespace(until=lambda *_: "")),
        everywhere=SimpleNamespace(shared=False),
    )
    operator, defects = _Operator(), _Defects()
    site = Site(cast(Any, server), cast(Any, operator), lambda _: (b"up 1\n", "text/plain"), page)
    logging.getLogger("dicomgate.admin").addHandler(defects)
    logging.getLogger("dicomgate.admin").propagate = False
    return site, operator, configured(make_application(site)), defects


def _run(data: bytes) -> None:
    _LOOP.run_until_complete(_ask(data))


async def _ask(data: bytes) -> None:
    site, operator, config, defects = _site()
    ends = _LOOP.time() + 3600
    login = Login(Admitted("staff", "alice", frozenset(), None), ends, _LOOP.time(), ends, token=_TOKEN)
    site.logins._logins = {_key(_COOKIE): login}
    operator.done.clear()
    transport, state = _Transport(), ServerState()
    connection = _Connection(config, state)
    connection.connection_made(cast(Any, transport))
    if data:  # a loop never gives nothing: to h11 that is the end
        connection.data_received(data)
    for _ in range(_TURNS):
        if not state.tasks:
            break
        await asyncio.sleep(0)
    connection.connection_lost(None)
    if state.tasks:
        _, waiting = await asyncio.wait([*state.tasks], timeout=_PATIENCE)
        assert not waiting, waiting
    assert not defects.told, defects.told
    if transport.taken:
        assert int(transport.taken.split(b" ", 2)[1]) in _STATUSES
    if operator.done:
        form = _COOKIE.encode() in data and _TOKEN.encode() in unquote_to_bytes(data)
        assert form or (_SURE in data and b"/api/" in unquote_to_bytes(data)), operator.done


def _get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join((b"GET %b HTTP/1.1" % path, b"Host: " + _HOST, *headers, b"", b""))


def _post(path: bytes, body: bytes, *headers: bytes, kind: bytes = b"application/x-www-form-urlencoded") -> bytes:
    lines = b"Origin: http://" + _HOST, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *headers
    return b"\r\n".join((b"POST %b HTTP/1.1" % path, b"Host: " + _HOST, *lines, b"", body))


def _seeds() -> list[bytes]:
    cookie, token = b"Cookie: dicomgate=" + _COOKIE.encode(), b"token=" + _TOKEN.encode()
    basic, json = b"Authorization: Basic " + _BASIC, b"application/json"
    address = b"&upstream=pacs&address=10.0.0.1%3A104&order=drain"
    forms = {b"kick": b"&id=0123456789ab&reason=x", b"kick-user": b"&user=staff%2Falice&for=10m", b"clear": b"&key=a",
             b"order": address, b"reload": b"&q=ct", b"drain": b"", b"drain?": b"&surely=yes"}  # fmt: skip
    asked = {b"kick": b'{"id": "0123456789ab"}', b"kick-user": b'{"user": "staff/alice", "for": "0s"}', b"reload": b""}
    chunked = (
        b"POST /login HTTP/1.1\r\nHost: %b\r\nSec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n" % _HOST
    )
    return [
        *(
            _get(path)
            for path in (b"/live", b"/ready", b"/ready?upstream=pacs", b"/metrics", b"/", b"/page.css", b"/nothing")
        ),
        _get(b"/metrics", b"Authorization: Bearer 0123456789abcdef"),
        *(_get(path, cookie) for path in (b"/", b"/?q=ct&refresh", b"/?of=staff/alice")),
        *(_get(path, basic) for path in (b"/api/v1/status", b"/api/v1/sessions?q=CT1")),
        _get(b"/api/v1/status", b"Authorization: Bearer a.b.c"),
        _post(b"/login", b"user=alice&passcode=" + _PASSCODE.replace(" ", "+").encode()),
        _post(b"/login", b"user=alice&passcode=wrong"),
        chunked + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n5\r\nuser=\r\n0\r\n\r\n",
        _post(b"/logout", token, cookie),
        *(_post(b"/actions/" + name, token + form, cookie) for name, form in forms.items()),
        *(_post(b"/api/v1/" + name, body, basic, kind=json) for name, body in asked.items()),
        *(_post(b"/api/v1/kick", text, basic, kind=json) for text in files("json-parsing") if len(text) < 500),
    ]


TARGET = Target(
    "page",
    (
        "dicomgate.admin.web.api",
        "dicomgate.admin.web.actions",
        "dicomgate.admin.web.entrance",
        "dicomgate.admin.web.page",
        "dicomgate.admin.web.requests",
    ),
    _run,
    (),
    _seeds,
    (b"\r\n", b"%00", b"%ff", b"%2F", b"&", b"=", b"; ", b"\xff", b"Host: x\r\n", b"Expect: 100-continue\r\n",
     b"\\ud800", b"Transfer-Encoding: chunked\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"a" * 9000,
     b"&for=-5m"),
)  # fmt: skip
