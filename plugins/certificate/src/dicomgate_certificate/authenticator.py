"""`use = "certificate"`: no user identity, but a TLS client certificate that the listener has verified (PS3.15 B.12).

Rule 1: the listener's `client_ca` says which certificates are genuine, this table whose they are. Each of these
        authorities can issue any name.
Rule 2: a certificate is one device's. One that could be taken for two is refused.
Rule 3: the association ends when the certificate does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from cryptography import x509

from dicomgate import Accept, Attempt, ConfigError, Decision, Pass, Reject

from .names import Kind, names_of, spelled

_LONGEST_USER = 256
_LONGEST_LIST = 1000


@dataclass(frozen=True, kw_only=True)
class Device:
    """Whose a certificate is."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    user: str
    groups: Sequence[str] = ()


@dataclass(kw_only=True, eq=False)
class Certificate:
    """The devices that hold a certificate.

    Raises ConfigError for what is wrong with these keys. Which authorities issue the certificates is the listener's
    business: `client_ca`.
    """

    certificates: Mapping[str, Device] = field(default_factory=dict)
    """A name of a certificate = { user = "ct-1", groups = ["ct"] }. The name is "sha256:...", "subject:CN=ct-1,O=...",
    "common-name:...", "dns:...", "uri:..." or "email:..."."""

    user_from: Kind | None = None
    """The user of every other certificate of `client_ca` is its one name of this kind. None: they are unknown."""

    groups: Sequence[str] = ()
    """The groups of the users that `user_from` makes."""

    unknown_certificate: Literal["reject", "pass"] = "reject"
    """What becomes of a certificate that is nobody's: "reject", or "pass" to let the next authenticator look."""

    handles: frozenset[None] = field(init=False, repr=False, default=frozenset({None}))
    _devices: dict[str, Device] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.certificates and self.user_from is None:
            raise ConfigError("neither certificates nor user_from: nobody gets in")
        if self.groups and self.user_from is None:
            raise ConfigError("groups: those of the users that user_from makes, and there is no user_from")
        self._devices = {}
        for name, device in self.certificates.items():
            try:
                one = spelled(name)
            except ValueError as error:
                raise ConfigError(f"certificates: {name!r}: {error}") from error
            if one in self._devices:
                raise ConfigError(f"certificates: {name!r} stands there twice, in two spellings")
            self._devices[one] = device
        for text in (*self.groups, *(text for one in self._devices.values() for text in (one.user, *one.groups))):
            if not text or not text.isprintable():
                raise ConfigError(f"{text!r}: users and groups are text that can be printed")

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt. Nobody is asked and nothing is waited for."""
        if attempt.identity is not None:
            return Pass("it has an identity")
        if attempt.peer.certificate is None:
            return Pass("no client certificate")
        try:
            certificate = x509.load_der_x509_certificate(attempt.peer.certificate)
            names = names_of(certificate)
            end = certificate.not_valid_after_utc
        except (ValueError, TypeError, x509.InvalidVersion) as error:  # TypeError: a name in a type that it cannot have
            return Reject(f"the certificate cannot be read: {error}")
        found = self._whose(names)
        if not isinstance(found, tuple):
            return found
        device, by = found
        told = {"certificate": by, "sha256": names["sha256"][0]}
        return Accept(device.user, frozenset(device.groups), expires_at=end, attributes=told)

    def _whose(self, names: Mapping[Kind, Sequence[str]]) -> tuple[Device, str] | Reject | Pass:
        """The device, and the name by which it is known; or why it is nobody's."""
        every = [f"{kind}:{value}" for kind, values in names.items() for value in values]
        known = [name for name in every if name in self._devices]
        if known:
            first, *others = (self._devices[name] for name in known)
            if any((one.user, set(one.groups)) != (first.user, set(first.groups)) for one in others):
                return Reject(f"ambiguous: the certificate is known by {' and '.join(known)}, which are not one device")
            return first, known[0]
        values = names.get(self.user_from, ()) if self.user_from is not None else ()
        if not values:
            why = f"the certificate is nobody's; its names are {', '.join(every)[:_LONGEST_LIST]}"
            return Pass(why) if self.unknown_certificate == "pass" else Reject(why)
        user, *more = values
        if more:
            return Reject(f"ambiguous: the certificate has {len(values)} names of the kind {self.user_from}")
        plain = unicodedata.normalize("NFKC", user).strip()
        if not user.isprintable() or not 0 < len(user) <= _LONGEST_USER or "*" in user or user != plain:
            return Reject(f"the certificate's {self.user_from} is no user's name: {user[:_LONGEST_USER]!r}")
        if any(user.casefold() == one.user.casefold() for one in self._devices.values()):
            return Reject(f"ambiguous: the user {user!r} has another certificate, in the table")
        return Device(user=user, groups=self.groups), f"{self.user_from}:{user}"
