"""`use = "client-credentials"`: the gateway's own token from an identity provider (RFC 6749 4.4).

Rule 1: one token for all associations, and one request for all that wait for it.
Rule 2: another one is fetched ahead, so that each association has half of a token's time before it; while there is no
        other, it is used until shortly before it ends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from dicomgate import Admission, Identity, IdentityType, Presented, Probed, Unavailable
from dicomgate.kit.fetch import FetchError
from dicomgate.kit.refreshed import Refreshed

from .issued import Issued
from .token_client import TokenClient

_log = logging.getLogger(__name__)
COOL_DOWN = 2.0
"""Seconds between two requests, so that not every association asks a provider that is down."""


@dataclass(kw_only=True, eq=False)
class ClientCredentials(TokenClient):
    """The gateway's own token. Raises ConfigError for wrong keys and files; asks nobody before it is entered."""

    _token: Refreshed[Issued] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._token = Refreshed(
            lambda: self.ask({"grant_type": "client_credentials"}),
            what=f"the token of {self.client_id} from {self.provider}",
            log=_log,
            describe=lambda issued: f"received, for {issued.lives:.0f} s",
            cool_down=COOL_DOWN,
            lives=lambda issued: issued.lives,
        )

    async def __aenter__(self) -> ClientCredentials:
        """Begin to fetch the token. If it cannot be fetched now, the log says so; the gateway starts."""
        await self._token.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._token.close()
        await self._endpoint.close()

    async def probe(self) -> list[Probed]:
        """Fetch a token."""
        return [await self._token.probe()]

    async def present(self, admission: Admission, /) -> Presented | Unavailable:
        """The token, which is the same for all users."""
        try:
            issued = await self._token.current()
            if issued.expires_at is not None and issued.expires_at <= admission.time:
                issued = await self._token.newest()  # the clock was set, or the machine slept
        except FetchError as error:
            return Unavailable(str(error))
        return Presented(Identity(IdentityType.JWT, issued.token), expires_at=issued.expires_at)
