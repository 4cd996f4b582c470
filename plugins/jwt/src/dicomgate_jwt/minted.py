"""`use = "minted"`: a token that the gateway signs itself says to the upstream whose association it is (RFC 9068).

Rule: the token is made for one association, and never outlives the user's own login.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from dicomgate import Admission, ConfigError, Identity, IdentityType, Presented, Unavailable
from dicomgate.kit.watched import Watched

from .signing import SigningKey, read_signing_key

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class Minted:
    """Tokens that the gateway signs. Raises ConfigError for a wrong key."""

    issuer: str
    """The gateway's name at the PACS: `iss`, and `client_id`."""

    audience: str
    """Whom the tokens are for: `aud`."""

    key_file: Path
    """The private key (PEM, P-256 or Ed25519) that signs; not readable by everybody."""

    lifetime: timedelta = timedelta(minutes=2)
    """How long a token is valid; at most an hour. The PACS sees it within seconds."""

    groups_claim: str = "groups"
    """The claim with the user's groups. Empty: they are not told."""

    _key: Watched[SigningKey] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ConfigError("issuer and audience: must not be empty")
        if not timedelta(seconds=10) <= self.lifetime <= timedelta(hours=1):
            raise ConfigError("lifetime: 10s to 1h")
        if self.groups_claim in _OWN:
            raise ConfigError(f'groups_claim: {self.groups_claim!r} says something else; for example "groups"')
        path = self.key_file
        self._key = Watched([path], lambda: read_signing_key(path), log=_log, describe=_described)

    async def present(self, admission: Admission, /) -> Presented | Unavailable:
        """A token for this user. It occupies the event loop for a tenth of a millisecond.

        The association does not end with the token, which is there to open it, but with the user's own login.
        """
        ends = admission.time + self.lifetime
        if admission.expires_at is not None:
            ends = min(ends, admission.expires_at)
        if ends < admission.time + timedelta(seconds=1):
            return Unavailable("the user's own login has ended")
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": admission.user,
            "client_id": self.issuer,
            "iat": int(admission.time.timestamp()),
            "exp": int(ends.timestamp()),
            "jti": uuid4().hex,
        }
        if self.groups_claim:
            claims[self.groups_claim] = sorted(admission.groups)
        key = await self._key.current_async()
        return Presented(Identity(IdentityType.JWT, key.sign(claims, "at+jwt").encode()))


_OWN = frozenset(("iss", "aud", "sub", "client_id", "iat", "exp", "nbf", "jti"))


def _described(key: SigningKey) -> str:
    return f"loaded, it signs as {key.public['kid']}"
