"""`use = "certificate"`: no user identity, but a TLS client certificate that the listener has verified (PS3.15 B.12).

Or a load balancer in front of it has: then all that is known is a common name, which is a name of its own kind.

Rule 1: the listener's `client_ca` says which certificates are genuine, this table which device each one belongs to.
        Every authority in `client_ca` can issue any name.
Rule 2: a certificate belongs to one device. One that matches two is refused as ambiguous.
Rule 3: the association ends when the certificate expires.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, Literal

from cryptography import x509

from dicomgate import Accept, Attempt, ConfigError, Decision, Pass, Reject, always
from dicomgate.kit.text import LONGEST_NAME, is_name

from .names import Kind, names_of, spelled

_LONGEST_LIST = 1000
_NONE = Pass("no client certificate", always)


@dataclass(frozen=True, kw_only=True)
class Device:
    """The device that a certificate belongs to."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    user: str
    groups: Sequence[str] = ()


@dataclass(kw_only=True, eq=False)
class Certificate:
    """Accepts devices by their TLS client certificates, verified by `client_ca`. Raises ConfigError for wrong keys."""

    certificates: Mapping[str, Device] = field(default_factory=dict)
    """A name of a certificate = { user = "ct-1", groups = ["ct"] }. The name is "sha256:...", "subject:CN=ct-1,O=...",
    "common-name:...", "dns:...", "uri:...", "email:...", or "proxy_cn:..." where a load balancer has verified it."""

    user_from: Kind | None = None
    """The user of every other certificate of `client_ca` is its only name of this kind. None: it is unknown."""

    groups: Sequence[str] = ()
    """The groups of users named by `user_from`."""

    unknown_certificate: Literal["reject", "pass"] = "reject"
    """What to do with an unknown certificate: "reject", or "pass" to let the next authenticator decide."""

    needs_client_certificate: ClassVar[bool] = True
    handles: ClassVar = frozenset({None})
    _devices: dict[str, Device] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.certificates and self.user_from is None:
            raise ConfigError("neither certificates nor user_from is set: every login would be refused")
        if self.groups and self.user_from is None:
            raise ConfigError("groups: these are for users named by user_from, which is not set")
        self._devices = {}
        for name, device in self.certificates.items():
            try:
                one = spelled(name)
            except ValueError as error:
                raise ConfigError(f"certificates: {name!r}: {error}") from error
            if one in self._devices:
                raise ConfigError(f"certificates: {name!r} is there twice, in two spellings")
            self._devices[one] = device
        for text in (*self.groups, *(text for one in self._devices.values() for text in (one.user, *one.groups))):
            if not text or not text.isprintable():
                raise ConfigError(f"{text!r}: users and groups must be printable text")

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Answer one attempt, without waiting for anything."""
        if attempt.identity is not None:
            return Pass("it has an identity", always)
        if attempt.peer.certificate is None:
            return self._decide({"proxy_cn": [attempt.peer.proxy_cn]}) if attempt.peer.proxy_cn else _NONE
        try:
            certificate = x509.load_der_x509_certificate(attempt.peer.certificate)
            names = names_of(certificate)
            end = certificate.not_valid_after_utc
        except (ValueError, TypeError, x509.InvalidVersion) as error:  # TypeError: a name of a wrong ASN.1 type
            return Reject(f"the certificate cannot be read: {error}", always)
        return self._decide(names, end)

    def _decide(self, names: Mapping[Kind, Sequence[str]], end: datetime | None = None) -> Accept | Reject | Pass:
        found = self._whose(names)
        if not isinstance(found, tuple):
            return replace(found, stands=always)
        device, by = found
        told = {"certificate": by, **({"sha256": names["sha256"][0]} if "sha256" in names else {})}
        return Accept(device.user, frozenset(device.groups), expires_at=end, attributes=told)

    def _whose(self, names: Mapping[Kind, Sequence[str]]) -> tuple[Device, str] | Reject | Pass:
        """The device and the name that it is known by; or why the certificate is unknown."""
        every = [f"{kind}:{value}" for kind, values in names.items() for value in values]
        known = [name for name in every if name in self._devices]
        if known:
            first, *others = (self._devices[name] for name in known)
            if any((one.user, set(one.groups)) != (first.user, set(first.groups)) for one in others):
                return Reject(
                    f"ambiguous: the certificate is known by {' and '.join(known)}, which are different devices"
                )
            return first, known[0]
        values = names.get(self.user_from, ()) if self.user_from is not None else ()
        if not values:
            why = f"the certificate is unknown; its names are {', '.join(every)[:_LONGEST_LIST]}"
            return Pass(why) if self.unknown_certificate == "pass" else Reject(why)
        user, *more = values
        if more:
            return Reject(f"ambiguous: the certificate has {len(values)} names of the kind {self.user_from}")
        if not is_name(user) or "*" in user or user != unicodedata.normalize("NFKC", user):
            return Reject(f"the certificate's {self.user_from} is not a user name: {user[:LONGEST_NAME]!r}")
        if any(user.casefold() == one.user.casefold() for one in self._devices.values()):
            return Reject(f"ambiguous: the user {user!r} is another certificate's, in the table")
        return Device(user=user, groups=self.groups), f"{self.user_from}:{user}"
