"""What an Access-Request says, and what an answer decides. No sockets.

Rule 1: every Access-Request carries a Message-Authenticator as its first attribute.
Rule 2: only an Access-Accept admits a user, and only if it is clear which one.
Rule 3: answers come from a conversation, which has verified them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket, Packet

from dicomgate import Accept, Decision, Reject, Unavailable

LONGEST_PASSCODE = 128
"""Bytes. RFC 2865 5.2: User-Password is 16 to 128 octets, padding included."""

LONGEST_VALUE = 253
"""Bytes. RFC 2865 5: the length of an attribute is one octet, and includes the two octets of type and length."""

_LONGEST_MESSAGE = 200

DICTIONARY = Dictionary(str(Path(__file__).with_name("dictionary")))


@dataclass(frozen=True, slots=True)
class Question:
    """One login, in the terms of an Access-Request. Everything but the passcode is 1 to 253 bytes."""

    name: str
    passcode: bytes = field(repr=False)
    calling_station: str
    called_station: str
    nas_identifier: str


def passcode_problem(passcode: bytes) -> str:
    """Why no server can be asked about exactly this passcode; "" if one can."""
    if len(passcode) > LONGEST_PASSCODE:
        return f"the passcode is longer than the {LONGEST_PASSCODE} bytes of RADIUS"
    # RFC 2865 5.2 pads with nulls, so that "secret" and "secret\0" would be the same passcode.
    return "a passcode with a NUL" if b"\0" in passcode else ""


def write_request(packet: AuthPacket, question: Question) -> None:
    """Put the question into a new Access-Request."""
    packet.add_message_authenticator()  # also makes the Request Authenticator, with which the passcode is hidden
    packet["User-Name"] = question.name
    packet["User-Password"] = packet.PwCrypt(question.passcode)
    # RFC 2865 4.1: "It MUST contain either a NAS-IP-Address attribute or a NAS-Identifier attribute (or both)."
    packet["NAS-Identifier"] = question.nas_identifier
    packet["Calling-Station-Id"] = question.calling_station
    if question.called_station:
        packet["Called-Station-Id"] = question.called_station


def read_answer(answer: Packet, question: Question, group_attributes: Iterable[str], server: str) -> Decision:
    """The decision that a verified answer to this question stands for."""
    if answer.code == AccessAccept:
        return _read_accept(answer, question, group_attributes, server)
    if answer.code == AccessReject:
        said = _message(answer, question)
        return Reject(f"{server} rejects" + (f": {said}" if said else ""))
    if answer.code == AccessChallenge:
        return Reject(f"{server} asks for a second step, for which DICOM has no room")
    return Unavailable(f"{server}: an answer with code {answer.code}, which does not answer an Access-Request")


def _read_accept(answer: Packet, question: Question, group_attributes: Iterable[str], server: str) -> Decision:
    # RFC 2865 5.1: "It MAY be sent in an Access-Accept packet, in which case the client SHOULD use the name returned";
    # 5.44: 0-1 times.
    names = answer.get("User-Name", [question.name])
    if len(names) != 1 or not _is_text(names[0]):
        return Unavailable(f"{server} accepts, but does not say whom: its User-Name is not one UTF-8 name")
    values = (value for attribute in group_attributes for value in answer.get(attribute, []))
    return Accept(user=names[0], groups=frozenset(filter(_is_text, values)), attributes={"server": server})


def _message(answer: Packet, question: Question) -> str:
    """What a rejection says, for the log, unless the server repeats the passcode in it."""
    said = " ".join(text for text in answer.get("Reply-Message", []) if isinstance(text, str))
    if question.passcode in said.encode():
        return "(its Reply-Message has the passcode in it)"
    return said[:_LONGEST_MESSAGE]


def _is_text(value: str | bytes) -> bool:
    # pyrad gives bytes for what is not UTF-8. Class is often a binary value that means something to the server alone.
    return isinstance(value, str) and value.isprintable() and bool(value)
