"""A scripted directory: it records what it is asked, and answers what the test says. LDAPv3 in the clear (RFC 4511)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dicomgate.testing.peers.loopback import HOST
from plugins.ldap.tests.mischief import Listening

BIND, SEARCH, EXTENDED, UNBIND = 0x60, 0x63, 0x77, 0x42
BOUND, _ENTRY, DONE, _EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x78
_REFERENCE, _REFERRAL = 0x73, 0xA3
_SEQUENCE, _SET, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x31, 0x02, 0x04, 0x0A


def tlv(tag: int, *contents: bytes) -> bytes:
    """One element of BER, its length in the long form."""
    content = b"".join(contents)
    return bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of BER that stand one after the other."""
    while data:
        length, begin = data[1], 2
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(data[2:begin], "big")
        yield data[0], data[begin : begin + length]
        data = data[begin + length :]


def text(value: str) -> bytes:
    return tlv(_OCTETS, value.encode())


def result(response: int, code: int = 0, said: str = "", referral: str = "") -> bytes:
    """An LDAPResult with a code, a diagnostic message, and the URL of another server."""
    more = [tlv(_REFERRAL, text(referral))] if referral else []
    return tlv(response, tlv(_ENUMERATED, bytes((code,))), text(""), text(said), *more)


def referred(response: int, url: str) -> list[bytes]:
    """The answer that another server knows more, to a bind or a search."""
    return [result(response, 10, referral=url)]


def continued(url: str) -> list[bytes]:
    """The answer to a search that found nothing here, and more on another server."""
    return [tlv(_REFERENCE, text(url)), result(DONE)]


def bound(code: int = 0, said: str = "") -> list[bytes]:
    """The answer to a bind."""
    return [result(BOUND, code, said)]


def extended(code: int = 0) -> list[bytes]:
    """The answer to an extended request, StartTLS for one."""
    return [result(_EXTENDED_RESPONSE, code)]


def found(*entries: tuple[str, dict[str, list[str]]], code: int = 0, said: str = "") -> list[bytes]:
    """The answer to a search: DNs, each with its attributes."""
    answers = []
    for dn, attributes in entries:
        shown = [tlv(_SEQUENCE, text(name), tlv(_SET, *map(text, values))) for name, values in attributes.items()]
        answers.append(tlv(_ENTRY, text(dn), tlv(_SEQUENCE, *shown)))
    return [*answers, result(DONE, code, said)]


def _filter(tag: int, value: bytes) -> str:
    """A filter as RFC 4515 writes it."""
    parts = list(elements(value)) if tag & 0x20 else []
    if tag in (0xA0, 0xA1):
        return f"({'&' if tag == 0xA0 else '|'}{''.join(_filter(*part) for part in parts)})"
    if tag == 0xA3:
        return f"({parts[0][1].decode()}={parts[1][1].decode()})"
    if tag == 0xA9:
        named = {0x81: "rule", 0x82: "type", 0x83: "value", 0x84: "dn"}
        fields = {named[tag]: value.decode() for tag, value in parts if tag != 0x84 or value != b"\0"}
        return f"({fields['type']}:{fields['rule']}:={fields['value']})"
    return f"({value.decode()}=*)" if tag == 0x87 else f"<{tag:02x}>"


@dataclass(frozen=True)
class Asked:
    """One request: on which connection, what (`BIND`, `SEARCH` or `EXTENDED`), and its parts."""

    connection: int
    what: int
    name: str = ""  # the DN that is bound, the base of a search
    passcode: str = ""
    filter: str = ""
    scope: int = 0
    size_limit: int = 0


Script = Callable[[Asked], Sequence[bytes]]


class StandIn(Listening):
    """It listens from `with` on. An answer is operations, each sent as a message; b"" hangs up."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self._script = script
        self.url = f"ldap://{HOST}:{self.address[1]}"

    def converse(self, client: socket.socket, number: int) -> None:
        received = b""
        while data := client.recv(65536):
            received += data
            while (message := self._whole(received)) is not None:
                received = received[message[0] :]
                if not self._answer(client, number, message[1]):
                    return

    @staticmethod
    def _whole(received: bytes) -> tuple[int, bytes] | None:
        if len(received) < 2:
            return None
        begin = 2 + (received[1] & 0x7F if received[1] & 0x80 else 0)
        length = int.from_bytes(received[2:begin], "big") if begin > 2 else received[1]
        end = begin + length
        return (end, received[begin:end]) if len(received) >= end else None

    def _answer(self, client: socket.socket, connection: int, message: bytes) -> bool:
        (_, number), (what, body), *_ = elements(message)
        if what == UNBIND:
            return False
        asked = Asked(connection, what)
        if what == BIND:
            _, (_, name), (_, passcode) = elements(body)
            asked = Asked(connection, what, name.decode(), passcode.decode())
        elif what == SEARCH:
            (_, base), (_, scope), _, (_, limit), _, _, filter_, _ = elements(body)
            size = int.from_bytes(limit, "big")
            asked = Asked(connection, what, base.decode(), "", _filter(*filter_), scope[0], size)
        self.asked.append(asked)
        for operation in self._script(asked):
            if not operation:
                return False
            client.sendall(tlv(_SEQUENCE, tlv(_INTEGER, number), operation))
        return True
