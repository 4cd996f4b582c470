"""The scenarios of the demonstration: what is sent, and what the client must see.

Rule: a refused client never reaches the PACS. So a scenario need not say what the PACS must see: if the answer is an
A-ASSOCIATE-AC, one association without an identity, and the slices byte for byte; otherwise nothing.

To add a scenario, for example of another identity type, add an entry to `SCENARIOS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ..contract import Identity, IdentityType
from ..wire.associate import AssociateRequest
from ..wire.dimse import NOT_AUTHORIZED, SUCCESS
from ..wire.items import item
from ..wire.pdu import HEADER, LAST_FRAGMENT, OF_COMMAND, PDV, PduType
from ..wire.reject_abort import (
    CALLED_AE_TITLE,
    CONGESTION,
    INVALID_PARAMETER,
    REFUSED_IDENTITY,
    UNEXPECTED_PDU,
    Refusal,
)
from ..wire.user_identity import encode_identity
from .folder import DOWN, MODALITY, PACS, UNKNOWN, VIEWER
from .issuers import Issuer, Provider, Tickets

CLIENT = "DEMO_CLIENT"
"""The AE title of the client."""


@dataclass(frozen=True, slots=True)
class Login:
    """The user who may log in by passcode, token, assertion and, where there is a KDC, by ticket.

    `others` are the passcodes of the users who may not do everything.
    """

    user: str
    passcode: str = field(repr=False)
    issuer: Issuer
    provider: Provider
    others: Mapping[str, str] = field(repr=False)
    tickets: Tickets | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An A-ASSOCIATE-AC; with the content of its sub-item 59H, or None where there is no 59H.

    `withheld` are the services whose presentation contexts it answers with result 1, user-rejection.
    """

    server_response: bytes | None = None
    withheld: tuple[str, ...] = ()

    def __str__(self) -> str:
        response = "" if self.server_response is None else f", 59H with {len(self.server_response)} bytes"
        return f"A-ASSOCIATE-AC{response}{''.join(f' without {word}' for word in self.withheld)}"


Answer = Accepted | Refusal
Claim = Callable[[Login], Identity | None]
Forge = Callable[[AssociateRequest], bytes]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One association. `claim` makes its identity from the one valid login; an accepted one sends a C-ECHO.

    `stores` makes it send its share of the slices too, `moves` C-MOVEs: the status of each, by its destination. `forge`
    makes bytes that no honest client would send. `egress` sends it to the egress, which logs in to the gateway.
    """

    sent: str
    claim: Claim
    answer: Answer
    called: str = PACS
    stores: bool = False
    moves: Mapping[str, int] = field(default_factory=dict)
    forge: Forge | None = None
    egress: bool = False

    @property
    def denied(self) -> bool:
        """Whether it asks for something that no rule grants."""
        withheld = isinstance(self.answer, Accepted) and self.answer.withheld
        return bool(withheld) or NOT_AUTHORIZED in self.moves.values()


def _right(login: Login) -> Identity:
    return Identity(IdentityType.USERNAME_AND_PASSCODE, login.user.encode(), login.passcode.encode())


def _right_with_response(login: Login) -> Identity:
    return replace(_right(login), positive_response_requested=True)


def _wrong_passcode(login: Login) -> Identity:
    return replace(_right(login), secondary=login.passcode.encode() + b"x")


def _unknown_user(login: Login) -> Identity:
    return replace(_right(login), primary=b"nobody")


def _empty_passcode(login: Login) -> Identity:
    return replace(_right(login), secondary=b"")


def _username_alone(login: Login) -> Identity:
    return Identity(IdentityType.USERNAME, login.user.encode())


def _viewer(login: Login) -> Identity:
    return replace(_right(login), primary=VIEWER.encode(), secondary=login.others[VIEWER].encode())


def _modality(login: Login) -> Identity:
    return replace(_right(login), primary=MODALITY.encode(), secondary=login.others[MODALITY].encode())


def _token(login: Login) -> Identity:
    return Identity(IdentityType.JWT, login.issuer.token())


def _expired_token(login: Login) -> Identity:
    return Identity(IdentityType.JWT, login.issuer.token(issued=3600))


def _forged_token(login: Login) -> Identity:
    return Identity(IdentityType.JWT, login.issuer.forged())


def _assertion(login: Login) -> Identity:
    return Identity(IdentityType.SAML, login.provider.assertion())


def _used_assertion(login: Login) -> Identity:
    return Identity(IdentityType.SAML, login.provider.last())


def _changed_assertion(login: Login) -> Identity:
    return Identity(IdentityType.SAML, login.provider.changed())


def _ticket(login: Login) -> Identity | None:
    return Identity(IdentityType.KERBEROS, login.tickets.ticket()) if login.tickets else None


def _used_ticket(login: Login) -> Identity | None:
    return Identity(IdentityType.KERBEROS, login.tickets.last()) if login.tickets else None


def _no_identity(_: Login) -> None:
    return None


def _length_too_long(request: AssociateRequest) -> bytes:
    """The username's length exceeds the sub-item that holds it."""
    pdu = bytearray(request.encode())
    length = len(pdu) - len(_identity_of(request)) + 6  # after type, length and two bytes of the sub-item
    pdu[length : length + 2] = b"\xff\xff"
    return bytes(pdu)


def _two_identities(request: AssociateRequest) -> bytes:
    """A second sub-item 58H, so that two implementations could read two different users."""
    user_information = request.negotiation.encode() + _identity_of(request)
    second = encode_identity(Identity(IdentityType.USERNAME, b"admin"))
    body = request.encode()[HEADER.size :].removesuffix(item(0x50, user_information))
    body += item(0x50, user_information + second)
    return HEADER.pack(PduType.ASSOCIATE_RQ, len(body)) + body


def _data_before_the_answer(request: AssociateRequest) -> bytes:
    """P-DATA in the same segment, in the hope that it goes through to the PACS."""
    data = PDV.pack(2, 1, OF_COMMAND | LAST_FRAGMENT)
    return request.encode() + HEADER.pack(PduType.P_DATA_TF, len(data)) + data


def _identity_of(request: AssociateRequest) -> bytes:
    return encode_identity(request.identity) if request.identity is not None else b""


SCENARIOS = (
    Scenario("right passcode", _right, Accepted(), stores=True),
    Scenario("right passcode, positive response requested", _right_with_response, Accepted(b""), stores=True),
    Scenario("wrong passcode", _wrong_passcode, REFUSED_IDENTITY),
    Scenario("unknown user", _unknown_user, REFUSED_IDENTITY),
    # pynetdicom does not send this one, others do.
    Scenario("empty passcode", _empty_passcode, REFUSED_IDENTITY, forge=AssociateRequest.encode),
    Scenario("username alone (type 1)", _username_alone, REFUSED_IDENTITY),
    Scenario("no identity: a tool that cannot log in", _no_identity, REFUSED_IDENTITY),
    Scenario("the same tool, through an egress", _no_identity, Accepted(withheld=("move",)), stores=True, egress=True),
    Scenario("token (type 5)", _token, Accepted(), stores=True),
    Scenario("token that has expired", _expired_token, REFUSED_IDENTITY),
    Scenario("token signed by somebody else", _forged_token, REFUSED_IDENTITY),
    Scenario("assertion (type 4)", _assertion, Accepted(), stores=True),
    Scenario("the same assertion once more", _used_assertion, REFUSED_IDENTITY),
    Scenario("assertion with another name in it", _changed_assertion, REFUSED_IDENTITY),
    Scenario("viewer, would store", _viewer, Accepted(withheld=("store",))),
    Scenario("modality, would move", _modality, Accepted(withheld=("move",)), stores=True),
    Scenario(
        "viewer, moves elsewhere, then to its own AE title",
        _viewer,
        Accepted(withheld=("store",)),
        moves={"WS_9": NOT_AUTHORIZED, CLIENT: SUCCESS},
    ),
    Scenario("right passcode, unknown called AE title", _right, CALLED_AE_TITLE, called=UNKNOWN),
    Scenario("right passcode, PACS down", _right, CONGESTION, called=DOWN),
    # The passcode is right in these too: only the forgery keeps them out.
    Scenario("malformed RQ: a length beyond its item", _right, INVALID_PARAMETER, forge=_length_too_long),
    Scenario("malformed RQ: two identities", _right, INVALID_PARAMETER, forge=_two_identities),
    Scenario("P-DATA before the answer", _right, UNEXPECTED_PDU, forge=_data_before_the_answer),
)
TICKET_SCENARIOS = (
    Scenario("ticket (type 3)", _ticket, Accepted(), stores=True),
    Scenario("the same ticket once more", _used_ticket, REFUSED_IDENTITY),
)
"""After the others, where a KDC is installed."""
