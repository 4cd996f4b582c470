"""What is asked at the control socket: `Control`, from a line to its answer.

Promise: each line gets one line back, which is JSON and has `error` or what was asked for, and there is no defect.
What an operator may do is done only with values that a command sends: texts that are not too long, and sound numbers.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from dicomgate.admin.control import Control
from dicomgate.admin.control_words import LONGEST_QUESTION
from dicomgate.errors import DicomgateError
from dicomgate.net.pool import Order
from dicomgate.sessions.kick import LONGEST

from ..corpora import files
from ..engine import Target

_LOOP = asyncio.new_event_loop()
_LONGEST = 16_384  # of empty lines, each of which is answered
_ENDED = SimpleNamespace(total=1, nodes={"gate-1": 1}, silent=(), problem="")


class _Operator:
    """One that does nothing, and holds what it is told against what may be told."""

    def status(self) -> dict[str, str]:
        return {"node": "gate-1"}

    def sessions(self) -> Iterator[object]:
        return iter([SimpleNamespace(user="alice"), SimpleNamespace(user=None)][:0])

    async def sessions_elsewhere(self) -> object:
        return SimpleNamespace(answers={}, silent=(), problem="")

    async def kick(self, session_ids: Sequence[str], by: str, reason: str = "") -> object:
        _texts(by, reason, *session_ids)
        assert 1 <= len(session_ids) <= 1000
        return _ENDED

    async def kick_user(
        self, user: str, by: str, reason: str, refused_for: timedelta | None, authenticator: str
    ) -> object:
        _texts(user, by, reason, authenticator)
        assert user
        assert refused_for is None or 0 <= refused_for.total_seconds() <= LONGEST
        return _ENDED

    async def order(self, upstream: str, address: str, order: Order, by: str) -> object:
        _texts(upstream, address, by)
        raise DicomgateError(f"{upstream} {address}: {order} is refused")

    async def throttled(self) -> list[object]:
        return []

    async def clear(self, keys: Sequence[str] | None, by: str) -> int:
        assert keys is None or all(isinstance(key, str) for key in keys)
        return 0

    async def reload(self, by: str) -> tuple[str, ...]:
        return (by,)

    async def drain(self, by: str) -> None:
        _texts(by)


def _texts(*values: str) -> None:
    assert all(isinstance(value, str) and len(value) <= 256 for value in values)
    json.dumps(values)


class _Client:
    """Stands in for the writer of a connection: takes everything at once."""

    def __init__(self) -> None:
        self.taken = b""
        self.transport = SimpleNamespace(set_write_buffer_limits=lambda _: None, abort=lambda: None)

    def get_extra_info(self, _: str) -> object:
        return SimpleNamespace(getsockopt=lambda *_: struct.pack("3i", 1, 4_000_000_000 - 2**32, 0))

    def write(self, data: bytes) -> None:
        self.taken += data

    async def drain(self) -> None:
        pass


_CONTROL = Control(cast(Any, _Operator()))


def _run(data: bytes) -> None:
    _LOOP.run_until_complete(_converse(data[:_LONGEST]))


async def _converse(data: bytes) -> None:
    reader, client = asyncio.StreamReader(limit=LONGEST_QUESTION), _Client()
    reader.feed_data(data)
    reader.feed_eof()
    await _CONTROL._connected(reader, cast(Any, client))
    answers = [json.loads(line) for line in client.taken.splitlines(keepends=True)]
    assert len(answers) == data.count(b"\n")
    assert all(isinstance(answer, dict) and answer for answer in answers)
    assert b"a defect of the gateway" not in client.taken


def _seeds() -> list[bytes]:
    questions = [
        b'{"ask": "status"}',
        b'{"ask": "sessions", "user": "alice"}',
        b'{"ask": "kick", "ids": ["0123456789ab", "x"], "reason": "zo\\u00eb"}',
        b'{"ask": "kick user", "user": "alice", "authenticator": "staff", "seconds": 60.5, "reason": ""}',
        b'{"ask": "kick user", "user": "alice", "seconds": null}',
        b'{"ask": "reload"}\n{"ask": "drain"}',
        b'{"ask": "throttled"}',
        b'{"ask": "clear", "keys": ["account staff/alice"]}',
        b'{"ask": "order", "upstream": "pacs", "address": "10.0.0.1:104", "order": "out"}',
    ]
    return [*(question + b"\n" for question in questions), *(text + b"\n" for text in files("json-parsing"))]


TARGET = Target(
    "control_socket",
    ("dicomgate.admin.control", "dicomgate.admin.control_words", "dicomgate.admin.as_json"),
    _run,
    (),
    _seeds,
    (
        b"\n",
        b'"',
        b"null",
        b"1e999",
        b"-1",
        b"[]",
        b"{}",
        b"\\ud800",
        b"\\u0000",
        b'"seconds": NaN',
        b"a" * 300,
        b"[" * 300,
    ),
)
