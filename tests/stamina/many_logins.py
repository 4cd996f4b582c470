"""Clients that log in so many times a second, store one small object, and say what became of it.

Each has a calling AE title of its own, by which it is found in every audit. So no gateway knows one as that which it
accepted before: each login asks Redis, as only the first of a real device does.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from struct import pack

from bench.messages import (
    CT_IMAGE_STORAGE,
    IMPLICIT_VR_LITTLE_ENDIAN,
    LAST_FRAGMENT,
    PASSCODE,
    RELEASE_RQ,
    STORE_RQ,
)  # fmt: skip
from dicomgate.contract import Identity, IdentityType
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.raw_client import p_data
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate.wire.user_information import Negotiation
from tests.stamina.three_gateways import DEVICES, ISSUER, SECRET, House

PATIENCE = 10.0  # seconds that a client waits for an answer
_CLASS, _INSTANCE = CT_IMAGE_STORAGE + b"\0", b"1.2.3.4\0"
_OBJECT = b"".join(pack("<HHL", 8, tag, len(value)) + value for tag, value in ((0x16, _CLASS), (0x18, _INSTANCE)))
_ANSWERS = {2: "accepted", 3: "rejected", 4: "stored", 6: "released", 7: "aborted"}


@dataclass
class Login:
    """One client: what it came as, when, how long it waited for its answer, what that was, and how it ended."""

    calling: str
    kind: str
    user: str
    began: float
    took: float = 0.0
    answer: str = ""
    end: str = ""
    ended: float = 0.0

    @property
    def good(self) -> bool:
        """Accepted, stored, released."""
        return self.end == "released"


@dataclass
class Load:
    """So many logins a second; of fifty, two are guesses, and two tokens are shown to all three gateways at once."""

    house: House
    rate: float = 50.0
    lasts: float = 0.0
    """Seconds that an association is kept after its object."""
    bad: bool = True
    logins: list[Login] = field(default_factory=list)

    async def run(self, over: asyncio.Event) -> None:
        """Until `over`, and until the last client has its answer."""
        began, number, tasks = time.monotonic(), 0, set[asyncio.Task[None]]()
        while not over.is_set():
            for doing in self._next(number):
                task = asyncio.create_task(doing)
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            number += 1
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
        while tasks:
            await asyncio.wait(tasks)

    def _next(self, number: int) -> Iterator[asyncio._CoroutineLike[None]]:
        at = f"{number:06}"
        if self.bad and number % 25 == 7:
            guess = Identity(IdentityType.USERNAME_AND_PASSCODE, user := _mallory(number), f"wrong {at}".encode())
            yield self.one(Login(f"G{at}", "guess", user.decode(), time.monotonic()), guess, self.house.front)
        elif self.bad and number % 25 == 14:
            token = Identity(IdentityType.JWT, one_time(f"token-{at}"))
            for which, gate in enumerate(self.house.gates):
                login = Login(f"T{at}-{which}", "token", f"token-{at}", time.monotonic())
                yield self.one(login, token, gate.address)
        else:
            device = Identity(IdentityType.USERNAME_AND_PASSCODE, b"device-%d" % (number % DEVICES), PASSCODE)
            login = Login(f"S{at}", "store", f"device-{number % DEVICES}", time.monotonic())
            yield self.one(login, device, self.house.front)

    async def one(self, login: Login, identity: Identity, address: Address) -> None:
        """One association. It never raises: `login` says what became of it."""
        self.logins.append(login)
        context = ProposedContext(1, CT_IMAGE_STORAGE, (IMPLICIT_VR_LITTLE_ENDIAN,))
        request = AssociateRequest("PACS", login.calling, (context,), Negotiation(0, b"1.2.3.4"), identity).encode()
        writer = None
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(*address), PATIENCE)
            login.answer = login.end = await _ask(reader, writer, request)
            login.took = time.monotonic() - login.began
            if login.answer == "accepted":
                login.end = await _ask(reader, writer, STORE_RQ + p_data(_OBJECT, control=LAST_FRAGMENT))
                if login.end == "stored":
                    await asyncio.sleep(self.lasts)
                    login.end = await _ask(reader, writer, RELEASE_RQ)
        except TimeoutError:
            login.end = "no answer"
        except OSError as error:
            login.end = type(error).__name__
        login.answer = login.answer or login.end
        login.took = login.took or time.monotonic() - login.began
        login.ended = time.monotonic()
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> str:
    async def answer() -> str:
        head = await reader.readexactly(6)
        body = await reader.readexactly(int.from_bytes(head[2:], "big"))
        said = _ANSWERS[head[0]]
        return f"{said} {body[1]},{body[2]},{body[3]}" if said == "rejected" else said

    writer.write(data)
    try:
        return await asyncio.wait_for(answer(), PATIENCE)
    except asyncio.IncompleteReadError:
        return "closed"


def _mallory(number: int) -> bytes:
    """Twelve guesses each, then another one's turn: half a minute at fifty a second."""
    return b"mallory-%d" % (number // 25 // 12 % 200)


def one_time(subject: str) -> bytes:
    """A token of RFC 9068 for one use."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "dicomgate", "sub": subject, "client_id": subject, "jti": subject}
    parts = [{"alg": "HS256", "typ": "at+jwt"}, {**claims, "iat": now, "exp": now + 300}]
    signed = b".".join(_base64(json.dumps(part).encode()) for part in parts)
    return signed + b"." + _base64(hmac.digest(SECRET, signed, hashlib.sha256))


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
