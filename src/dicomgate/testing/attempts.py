"""Attempts and admissions as the gateway makes them, with a default for what a test leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from ..contract import Admission, Attempt, Identity, IdentityType, Peer

VERIFICATION = "1.2.840.10008.1.1"


def attempt(
    identity: Identity | None = None,
    *,
    id: str = "test-1",  # noqa: A002 (the name of the field)
    calling_ae_title: str = "MODALITY",
    called_ae_title: str = "PACS",
    address: str = "192.0.2.1",
    port: int = 50000,
    certificate: bytes | None = None,
    listener: str = "clinical",
    abstract_syntaxes: tuple[str, ...] = (VERIFICATION,),
    time: datetime | None = None,
) -> Attempt:
    """One association request. `time` is aware, and now by default; `certificate` is DER."""
    return Attempt(
        id=id,
        identity=identity,
        calling_ae_title=calling_ae_title,
        called_ae_title=called_ae_title,
        peer=Peer(address, port, certificate),
        listener=listener,
        abstract_syntaxes=abstract_syntaxes,
        time=time or datetime.now(UTC),
    )


def admission(
    user: str = "alice",
    *,
    id: str = "test-1",  # noqa: A002 (the name of the field)
    listener: str = "clinical",
    upstream: str = "pacs",
    authenticator: str = "staff",
    groups: frozenset[str] = frozenset(),
    attributes: Mapping[str, str] = MappingProxyType({}),
    calling_ae_title: str = "MODALITY",
    called_ae_title: str = "PACS",
    identity: Identity | None = None,
    time: datetime | None = None,
    expires_at: datetime | None = None,
) -> Admission:
    """One admitted association, as a credential sees it. `time` is aware, and now by default."""
    return Admission(
        id=id,
        listener=listener,
        upstream=upstream,
        authenticator=authenticator,
        user=user,
        groups=groups,
        attributes=attributes,
        calling_ae_title=calling_ae_title,
        called_ae_title=called_ae_title,
        identity=identity,
        time=time or datetime.now(UTC),
        expires_at=expires_at,
    )


def username(name: str | bytes, *, positive_response_requested: bool = False) -> Identity:
    """User-Identity-Type 1."""
    return Identity(IdentityType.USERNAME, _bytes(name), b"", positive_response_requested)


def passcode(name: str | bytes, passcode: str | bytes, *, positive_response_requested: bool = False) -> Identity:
    """User-Identity-Type 2."""
    kind = IdentityType.USERNAME_AND_PASSCODE
    return Identity(kind, _bytes(name), _bytes(passcode), positive_response_requested)


def kerberos(ticket: bytes, *, positive_response_requested: bool = False) -> Identity:
    """User-Identity-Type 3."""
    return Identity(IdentityType.KERBEROS, ticket, b"", positive_response_requested)


def saml(assertion: str | bytes, *, positive_response_requested: bool = False) -> Identity:
    """User-Identity-Type 4."""
    return Identity(IdentityType.SAML, _bytes(assertion), b"", positive_response_requested)


def jwt(token: str | bytes, *, positive_response_requested: bool = False) -> Identity:
    """User-Identity-Type 5."""
    return Identity(IdentityType.JWT, _bytes(token), b"", positive_response_requested)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
