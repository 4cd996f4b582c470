"""The control socket: operators' commands ask here, a question a line.

Rule 1: who may open the socket may do everything; the system says who that is (SO_PEERCRED), and the audit.
Rule 2: nobody holds it up: a client has `_PATIENCE` for each question, and as long to take the answer, or is cut off.
Rule 3: an answer has a bounded length. A long list is made piece by piece (as_json.py).
"""

from __future__ import annotations

import asyncio
import logging
import pwd
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from itertools import chain

from ..errors import DicomgateError
from ..run.control_socket import ControlSocket
from ..run.generation import Generation
from . import control_words as words
from .as_json import LongList, encoded
from .operator import Ended, Operator

_log = logging.getLogger("dicomgate.operator")
_PATIENCE = 5.0  # seconds
_MOST_CLIENTS = 8
_CREDENTIALS = struct.Struct("3i")  # of unix(7): pid, uid, gid


class Control:
    """Answers on the socket of the newest generation. A service of the operators' thread."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._socket: ControlSocket | None = None
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def adopt(self, generation: Generation) -> None:
        """Answer on the socket of this generation from now on; those who are connected may finish."""
        if generation.control is self._socket:
            return
        await self.close()
        if generation.control is not None:
            self._socket = generation.control
            self._server = await asyncio.start_unix_server(
                self._connected, sock=self._socket.socket, limit=words.LONGEST_QUESTION
            )
            _log.info("commands are answered at %s", self._socket.path)

    async def close(self) -> None:
        """Take no more clients, and remove the socket."""
        if self._server is not None and self._socket is not None:
            self._server.close()
            self._socket.close()
        self._server = self._socket = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            # What is written is gone, or is waited for: nothing is left behind for a client that does not read.
            writer.transport.set_write_buffer_limits(0)
            if self._clients > _MOST_CLIENTS:
                await _say(writer, _error(f"{_MOST_CLIENTS} others are connected; try again"))
            else:
                await self._converse(reader, writer, _who(writer))
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # it is gone, or takes nothing; or the thread ends, which asyncio would log for each client
        except Exception:  # noqa: BLE001 (a defect ends this client and no other)
            _log.exception("a defect at the control socket")
            with suppress(OSError, TimeoutError):
                await _say(writer, _error("a defect of the gateway; its log has more"))
        finally:
            self._clients -= 1
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, by: str) -> None:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE):
                    line = await reader.readuntil()
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await _say(writer, _error(f"a question has at most {words.LONGEST_QUESTION} bytes"))
                return
            left = _PATIENCE
            async for piece in self._answer(line, by):  # which may take its time
                left -= await _say(writer, piece, left)
            await asyncio.sleep(0)  # after each, others have their turn: a client may send a thousand at once

    async def _answer(self, line: bytes, by: str) -> AsyncIterator[bytes]:
        """The pieces of an answer, the last one with the newline."""
        try:
            answer = await self._done(words.read_question(line), by)
        except words.WrongQuestion as error:
            yield _error(f"wrong question: {error}")
        except DicomgateError as error:
            yield _error(str(error))
        else:
            if isinstance(answer, LongList):
                async for piece in answer.pieces():
                    yield piece
            else:
                yield encoded(answer) + b"\n"

    async def _done(self, question: words.Question, by: str) -> dict[str, object] | LongList:
        ask = self._operator
        match question:
            case words.Status():
                return {"status": ask.status()}
            case words.Kick():
                return _ended(await ask.kick(question.ids, by, question.reason))
            case words.KickUser():
                refused_for = None if question.seconds is None else timedelta(seconds=question.seconds)
                whose = question.user, by, question.reason, refused_for, question.authenticator
                return _ended(await ask.kick_user(*whose))
            case words.OrderAddress():
                return {"pool": await ask.order(question.upstream, question.address, question.order, by)}
            case words.Reload():
                return {"problems": await ask.reload(by)}
            case words.Drain():
                await ask.drain(by)
                return {"status": ask.status()}
            case words.Throttled():
                return LongList("counters", await ask.throttled())
            case words.Clear():
                return {"cleared": await ask.clear(question.keys, by)}
            case words.Sessions():
                return await self._sessions(question.user)

    async def _sessions(self, user: str | None) -> LongList:
        heard = await self._operator.sessions_elsewhere()
        everywhere = chain(self._operator.sessions(), *heard.answers.values())
        others = {"nodes": list(heard.answers), "silent": heard.silent, "problem": heard.problem}
        return LongList("sessions", (one if user in (None, one.user) else None for one in everywhere), others)


def _ended(ended: Ended) -> dict[str, object]:
    return {"ended": ended.total, "nodes": ended.nodes, "silent": ended.silent, "problem": ended.problem}


async def _say(writer: asyncio.StreamWriter, data: bytes, patience: float | None = None) -> float:
    """The seconds that the client took to take it. Raises TimeoutError if it takes longer than `patience`."""
    began = time.monotonic()
    async with asyncio.timeout(_PATIENCE if patience is None else patience):
        writer.write(data)
        await writer.drain()
    return time.monotonic() - began


def _error(text: str) -> bytes:
    return encoded({"error": text}) + b"\n"


def _who(writer: asyncio.StreamWriter) -> str:
    """Who is connected, as the system says: `uid 1000 (alice)`."""
    peer: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid {uid}"
