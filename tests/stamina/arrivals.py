"""Who comes to a hospital's gateway: users of all five identity types with what they do, and those who get nothing.

Each has a calling AE title of its own, by which it is found in the audit.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import jwt as pyjwt
from pydicom import Dataset
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from bench.messages import CT_IMAGE_STORAGE, ECHO_RQ, IMPLICIT_VR_LITTLE_ENDIAN, PASSCODE, VERIFICATION
from dicomgate.contract import Identity
from dicomgate.scu.login import SingleSignOn
from dicomgate.testing.attempts import jwt, passcode, saml, username
from dicomgate.testing.clients import identity_options
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.kdc import SERVICE
from dicomgate.testing.peers.dcmtk import storescu
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate.wire.user_information import Negotiation
from plugins.saml.tests import mint
from tests.stamina.hospital import ARCHIVE, ARTIM, DEVICES, JWT_LEEWAY, KERBEROS_SKEW, PACS, SAML_SKEW, Hospital
from tests.stamina.visit import PATIENCE, STORE, Login, Play, ask, over, served, visit

SILENT_SOURCE = "127.0.0.8"
"""From here come those who say nothing: they have no AE title."""
GOOD = ("username", "passcode", "directory", "ticket", "assertion", "token")
LATE = ("late assertion", "late token")
REFUSED = ("guess", "wrong bind", *LATE, "forged assertion", "forged token", "replay")
_PENDING, _SUCCESS = 0xFF00, 0x0000
_DOES = {"echo": 8, "store": 8, "query": 1, "slice": 1, "drip": 1, "vanish": 1}
"""What users do, and how often."""


class Window(NamedTuple):
    """When a credential is good, in seconds of the epoch, and by how much clocks may differ."""

    begins: float
    ends: float
    leeway: float


@dataclass
class Visitor(Login):
    """A client of the hospital: `does` something, with a credential that is good at a certain time."""

    does: str = "echo"
    window: Window | None = None
    shown: Identity | None = None
    """What is good for one login."""


class Arrivals:
    """`visits` is for `visit.under`; `all` are those who came, `silent` those who said nothing."""

    def __init__(self, house: Hospital, seed: int) -> None:
        self.all: list[Visitor] = []
        self.silent: list[Login] = []
        self._house, self._numbers = house, count()
        self._plain, self._secured = (house.gateway.address(name) for name in ("clinical", "secured"))
        self._random = random.Random(seed)
        self._tls = ssl.create_default_context(cadata=house.authority.cert_pem.bytes().decode())

    def first(self) -> None:
        """One user of each kind, one after the other: a first login makes connections, threads and hashes.

        Not before there are keys: what could not be fetched is fetched again after 20 s.
        """
        wait_until(lambda: "2 keys" in self._house.gateway.log(), "the provider's keys", 60)

        async def come() -> None:
            for number, kind in enumerate(GOOD):
                visitor = Visitor(f"V{number:06}F", kind, "", time.monotonic())
                self.all.append(visitor)
                await visit(visitor, _play(visitor, self._identity(visitor)), self._plain)

        asyncio.run(come())

    def visits(self, _: int) -> Iterator[asyncio._CoroutineLike[None]]:
        """Of forty, one says nothing, four get nothing, and the others are users."""
        now, number = time.monotonic(), next(self._numbers)
        if number % 40 == 7:
            self.silent.append(silent := Login("", "silent", "", now))
            yield visit(silent, _half_a_request, self._plain, source=SILENT_SOURCE)
            return
        kind = self._random.choice(REFUSED if number % 10 == 3 else GOOD)
        does = self._random.choices(list(_DOES), list(_DOES.values()))[0] if kind in GOOD else "echo"
        visitor = Visitor(f"V{number:07}", kind, "", now, does=does)
        identity = self._identity(visitor)
        self.all.append(visitor)
        address, tls = (self._secured, self._tls) if number % 3 == 0 else (self._plain, None)
        if does == "query":
            yield asyncio.to_thread(self._query, visitor, identity, address, tls)
        elif does == "slice":
            yield asyncio.to_thread(self._store_slice, visitor, identity)
        else:
            yield visit(visitor, _play(visitor, identity), address, tls=tls)

    def _identity(self, visitor: Visitor) -> Identity:
        """What it shows; its window, if that is good at a certain time."""
        now, house = time.time(), self._house
        match visitor.kind:
            case "username":
                return username(self._random.choice(DEVICES))
            case "passcode":
                return passcode(self._random.choice(DEVICES), PASSCODE)
            case "directory":
                return passcode(self._random.choice(("alice", "bob")), ALICE)
            case "guess":
                return passcode(f"mallory-{len(self.all)}", b"wrong")
            case "wrong bind":
                return passcode("16", b"wrong")
            case "ticket":
                visitor.window = Window(now, now, KERBEROS_SKEW)
                visitor.shown = SingleSignOn(SERVICE).identity
                return visitor.shown
            case "token":
                return self._token(visitor, house.tokens[-1])
            case "forged token":
                return jwt(house.tokens[-1][:-8] + "AAAAAAAA")
            case "late token" if _window(house.tokens[0]).ends + JWT_LEEWAY + 5 < now:
                return self._token(visitor, house.tokens[0])
            case "forged assertion":
                return saml(mint.mint(key=mint.STRANGER))
            case "assertion":
                visitor.window = Window(now - 5, now + 300, SAML_SKEW)
                visitor.shown = saml(mint.mint(key=house.signers[0]))
                return visitor.shown
            case "replay" if used := [one.shown for one in self.all[-4000:] if one.shown and one.answer == "accepted"]:
                return self._random.choice(used)
        visitor.kind = "late assertion"
        visitor.window = Window(now - 900, now - 600, SAML_SKEW)
        confirmed = mint.subject(mint.USER, mint.confirmation(ends=-600))
        said: dict[str, Any] = {
            "issued": -900,
            "subject": confirmed,
            "conditions": mint.conditions(begins=-900, ends=-600),
        }
        return saml(mint.mint(key=house.signers[0], authentication=mint.authentication(instant=-900), **said))

    def _token(self, visitor: Visitor, token: str) -> Identity:
        visitor.window = _window(token)
        return jwt(token)

    def _query(self, visitor: Visitor, identity: Identity, address: Address, tls: ssl.SSLContext | None) -> None:
        """A C-FIND of pynetdicom's at the archive, which has one study."""
        asked = Dataset()
        model = StudyRootQueryRetrieveInformationModelFind
        asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", ""
        login = user_identity(identity.type.value, identity.primary, identity.secondary)
        with associate(
            address,
            [model],
            identity=login,
            calling=visitor.calling,
            called=ARCHIVE,
            tls=tls,
        ) as association:
            if association.is_established:
                visitor.answer = "accepted"
                statuses = [status.get("Status") for status, _ in association.send_c_find(asked, model)]
                visitor.end = "answered" if statuses == [_PENDING, _SUCCESS] else f"statuses {statuses}"
            elif association.is_rejected:
                refusal = association.acceptor.primitive
                visitor.answer = f"rejected {refusal.result},{refusal.result_source},{refusal.diagnostic}"
        if visitor.end == "answered":
            visitor.end = "released" if association.is_released else "aborted"
        visitor.end = visitor.end or visitor.answer or "aborted"
        over(visitor)

    def _store_slice(self, visitor: Visitor, identity: Identity) -> None:
        """A CT slice of 512 KiB, by DCMTK's storescu."""
        ticket = self._house.folder / f"{visitor.calling}.ticket"
        options = ["-aet", visitor.calling, *identity_options(identity, ticket)]
        done = storescu(self._plain, self._house.slice, called=PACS, options=options)
        ticket.unlink(missing_ok=True)
        visitor.answer = "accepted" if "Association Accepted" in done.output else "rejected"
        visitor.end = "released" if done.status == 0 else f"status {done.status}"
        if visitor.answer == "rejected" and "Association Rejected" not in done.output:
            visitor.answer = "aborted"
        over(visitor)


def _window(token: str) -> Window:
    claims = pyjwt.decode(token, options={"verify_signature": False})
    return Window(claims["iat"], claims["exp"], JWT_LEEWAY)


def _play(visitor: Visitor, identity: Identity) -> Play:
    stores = visitor.does in ("store", "vanish")
    context = ProposedContext(1, CT_IMAGE_STORAGE if stores else VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,))
    request = AssociateRequest(PACS, visitor.calling, (context,), Negotiation(0, b"1.2.3.4"), identity).encode()
    play = served(request, [STORE if stores else ECHO_RQ])

    async def dripping(login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All but the last byte in ten pieces; then as others do."""
        for start in range(0, len(request) - 1, piece := len(request) // 10):
            writer.write(request[start : min(start + piece, len(request) - 1)])
            await asyncio.sleep(ARTIM / 30)
        await served(request[-1:], [ECHO_RQ])(login, reader, writer)

    async def vanishing(login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In the middle of its object."""
        login.answer = login.end = await ask(reader, writer, request)
        if login.answer == "accepted":
            writer.write(STORE[:-10])
            await writer.drain()
            writer.transport.abort()
            login.end = "vanished"

    return {"drip": dripping, "vanish": vanishing}.get(visitor.does, play)


async def _half_a_request(login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """And then it waits until the gateway closes the connection."""
    writer.write(AssociateRequest(PACS, "SILENT", (), Negotiation(0, b"1.2.3.4")).encode()[:60])
    await asyncio.wait_for(reader.read(), PATIENCE)
    login.end = "closed"
