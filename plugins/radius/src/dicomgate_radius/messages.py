"""What an Access-Request says, and what an answer decides. No sockets.

Rule 1: every Access-Request carries a Message-Authenticator, in the first place.
Rule 2: Access-Accept is the only code that lets anybody in, and not if it is unclear whom.
Rule 3: whoever reads an answer here has it from a conversation, which verified it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket, Packet

from dicomgate import Accept, Attempt, Decision, Identity, Reject, Unavailable

LONGEST_PASSCODE = 128
"""Bytes. RFC 2865 5.2: User-Password is 16 to 128 octets, of which the last are padding."""

LONGEST_VALUE = 253
"""Bytes. RFC 2865 5: the length of an attribute is one octet, and counts the two of its head."""

_LONGEST_MESSAGE = 200

DICTIONARY = Dictionary(str(Path(__file__).with_name("dictionary")))


@dataclass(frozen=True, slots=True)
class Question:
    """One login, in the words of an Access-Request. Everything but the passcode is 1 to 253 bytes."""

    name: str
    passcode: bytes = field(repr=False)
    calling_station: str
    called_station: str
    nas_identifier: str


def problem(identity: Identity) -> str:
    """Why no server could find this genuine, or could be asked exactly this; empty if it can be asked."""
    if not identity.secondary:
        # Never asked: what is behind the server may take it for an anonymous login, and that succeeds.
        return "empty passcode"
    if len(identity.secondary) > LONGEST_PASSCODE:
        return f"the passcode is longer than the {LONGEST_PASSCODE} bytes of RADIUS"
    if b"\0" in identity.secondary:
        # RFC 2865 5.2 pads with nulls, so that "secret" and "secret\0" would be one passcode.
        return "a passcode with a NUL"
    try:
        name = identity.primary.decode("utf-8")
    except UnicodeDecodeError:
        return "the username is not UTF-8"
    if not 1 <= len(identity.primary) <= LONGEST_VALUE or not name.isprintable():
        return f"no username of 1 to {LONGEST_VALUE} bytes that can be printed"
    return ""


def make_question(identity: Identity, attempt: Attempt, nas_identifier: str) -> Question:
    """What to ask about an identity that has no `problem`."""
    return Question(
        identity.primary.decode("utf-8"),
        identity.secondary,
        calling_station=attempt.peer.address,
        called_station=attempt.called_ae_title,
        nas_identifier=nas_identifier,
    )


def write_request(packet: AuthPacket, question: Question) -> None:
    """Put the question into a new Access-Request."""
    packet.add_message_authenticator()  # makes the authenticator as well, which hides the passcode
    packet["User-Name"] = question.name
    packet["User-Password"] = packet.PwCrypt(question.passcode)
    # RFC 2865 4.1: "It MUST contain either a NAS-IP-Address attribute or a NAS-Identifier attribute (or both)."
    packet["NAS-Identifier"] = question.nas_identifier
    packet["Calling-Station-Id"] = question.calling_station
    if question.called_station:
        packet["Called-Station-Id"] = question.called_station


def read_answer(answer: Packet, question: Question, group_attributes: Iterable[str], server: str) -> Decision:
    """What a verified answer says about the question that it answers."""
    if answer.code == AccessAccept:
        return _read_accept(answer, question, group_attributes, server)
    if answer.code == AccessReject:
        said = _message(answer, question)
        return Reject(f"{server} rejects" + (f": {said}" if said else ""))
    if answer.code == AccessChallenge:
        return Reject(f"{server} asks for a second step, which DICOM has no room for")
    return Unavailable(f"{server}: an answer with code {answer.code}, which is none to an Access-Request")


def _read_accept(answer: Packet, question: Question, group_attributes: Iterable[str], server: str) -> Decision:
    # RFC 2865 5.1: "It MAY be sent in an Access-Accept packet, in which case the client SHOULD use the name returned";
    # 5.44: 0-1 times.
    names = answer.get("User-Name", [question.name])
    if len(names) != 1 or not _is_text(names[0]):
        return Unavailable(f"{server} accepts, but does not say whom: its User-Name is not one name in UTF-8")
    values = (value for attribute in group_attributes for value in answer.get(attribute, []))
    return Accept(user=names[0], groups=frozenset(filter(_is_text, values)), attributes={"server": server})


def _message(answer: Packet, question: Question) -> str:
    """What a rejection says, for the log; who writes it may be as careless as to repeat the passcode."""
    said = " ".join(text for text in answer.get("Reply-Message", []) if isinstance(text, str))
    if question.passcode in said.encode():
        return "(its Reply-Message has the passcode in it)"
    return said[:_LONGEST_MESSAGE]


def _is_text(value: str | bytes) -> bool:
    # pyrad gives bytes for what is not UTF-8. Class is often a number of the server's own that is none of our business.
    return isinstance(value, str) and value.isprintable() and bool(value)
