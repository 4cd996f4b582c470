"""`use = "token-exchange"`: the token that the user logged in with, exchanged for one of the PACS's (RFC 8693).

Rule 1: the user's own token goes to the provider alone, never to the PACS.
Rule 2: what was exchanged is presented for this user's token alone, and never for longer than the user's login.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from dicomgate import Admission, Identity, IdentityType, Presented, Unavailable
from dicomgate.kit.fetch import FetchError

from .asked_once import AskedOnce
from .issued import TOKEN_TYPES, Issued
from .token import is_bearer, plain
from .token_client import TokenClient

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


@dataclass(kw_only=True, eq=False)
class TokenExchange(TokenClient):
    """Tokens for the user's tokens. Raises ConfigError for wrong keys and files."""

    subject_token_type: Literal["access_token", "id_token", "jwt"] = "access_token"  # noqa: S105 (no secret)
    """What the users log in with."""

    requested_token_type: Literal["access_token", "id_token", "jwt"] | None = None
    """What is asked for. None: the provider decides."""

    _exchanged: AskedOnce[Issued] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._exchanged = AskedOnce(lambda issued: issued.lives)

    async def __aenter__(self) -> TokenExchange:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exchanged.close()
        await self._endpoint.close()

    async def present(self, admission: Admission, /) -> Presented | Unavailable:
        """A token for the user's, within `fetch_timeout`."""
        identity = admission.identity
        if identity is None or identity.type is not IdentityType.JWT:
            return Unavailable("the user logged in without a token (type 5), so there is none to exchange")
        token = plain(identity.primary)
        if not is_bearer(token):
            return Unavailable("the user's token has characters that no provider takes")
        exchange = partial(self._exchange, token, admission.expires_at)
        try:
            issued = await self._exchanged.about(token, exchange)
            if issued.expires_at is not None and issued.expires_at <= admission.time:
                self._exchanged.forget(token)  # the clock was set, or the machine slept
                issued = await self._exchanged.about(token, exchange)
        except FetchError as error:
            return Unavailable(f"the user's token cannot be exchanged at {self.provider}: {error}")
        ends = [end for end in (issued.expires_at, admission.expires_at) if end is not None]
        return Presented(Identity(IdentityType.JWT, issued.token), expires_at=min(ends, default=None))

    async def _exchange(self, token: bytes, ends: datetime | None) -> Issued:
        grant = {
            "grant_type": _GRANT,
            "subject_token": token.decode("ascii"),
            "subject_token_type": TOKEN_TYPES[self.subject_token_type],
        }
        if self.requested_token_type is not None:
            grant["requested_token_type"] = TOKEN_TYPES[self.requested_token_type]
        issued = await self.ask(grant, exchanged=True)
        if ends is None:
            return issued
        return replace(issued, lives=min(issued.lives, (ends - datetime.now(UTC)).total_seconds()))
