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
from dataclasses import dataclass, field

from bench.messages import CT_IMAGE_STORAGE, IMPLICIT_VR_LITTLE_ENDIAN, PASSCODE
from dicomgate.contract import Identity, IdentityType
from dicomgate.testing.peers.loopback import Address
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate.wire.user_information import Negotiation
from tests.stamina.three_gateways import DEVICES, ISSUER, SECRET, House
from tests.stamina.visit import STORE, Login, served, visit


@dataclass
class Load:
    """Of fifty logins, two are guesses, and two tokens are shown to all three gateways at once."""

    house: House
    lasts: float = 0.0
    """Seconds that an association is kept after its object."""
    bad: bool = True
    logins: list[Login] = field(default_factory=list)

    def visits(self, number: int) -> Iterator[asyncio._CoroutineLike[None]]:
        """Who comes next: for `visit.under`."""
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
        await visit(login, served(request, [STORE], lasts=self.lasts), address)


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
