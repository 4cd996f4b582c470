"""The gateway as a client of a provider's token endpoint: who it is there, and how it asks (RFC 6749 2.3, RFC 7523).

Rule 1: secret and key are read from their files, and read again when those change.
Rule 2: an answer that is no token is no answer: FetchError, in time.
"""

# Without the import of `annotations` from `__future__`: the annotations are those of the subclasses' options, too, and
# would be looked up as text in modules that do not have these names.
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from dicomgate import ConfigError
from dicomgate.kit.fetch import Fetcher, FetchError
from dicomgate.kit.files import read_secret_text
from dicomgate.kit.watched import Watched

from .discovery import Endpoint
from .issued import Issued, read_issued
from .signing import read_signing_key

_log = logging.getLogger(__name__)
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME = 60


@dataclass(kw_only=True, eq=False)
class TokenClient:
    """What all who ask a token endpoint are configured with. Raises ConfigError for wrong keys and files."""

    client_id: str
    """The gateway's name at the provider."""

    client_secret_file: Path | None = None
    """The file with the gateway's secret at the provider, on one line; not readable by everybody."""

    client_secret_sent: Literal["basic", "post"] = "basic"  # noqa: S105 (no secret)
    """How the secret is sent: as client_secret_basic or client_secret_post."""

    client_key_file: Path | None = None
    """In place of a secret, the private key (PEM, P-256 or Ed25519) that signs each request (private_key_jwt)."""

    issuer: str | None = None
    """The provider, whose discovery document names its token endpoint."""

    token_url: str | None = None
    """The URL of the token endpoint. None: the one in the issuer's discovery document (token_endpoint)."""

    scope: str | None = None
    """What the token is to allow: `scope`, with spaces between several."""

    audience: str | None = None
    """Whom the token is to be for, at providers that are told so by `audience`."""

    resource: str | None = None
    """Whom the token is to be for, at providers that are told so by `resource` (RFC 8707)."""

    fetch_timeout: timedelta = timedelta(milliseconds=1500)
    """The time for an answer, from the name's look-up to the last byte. Less than `timeout`."""

    ca: Path | None = None
    """The certificates (PEM) that the provider's certificate is verified with. None: the system's."""

    proxy: str | None = field(default=None, repr=False)  # it may contain a password
    """The proxy for these requests, "http://host:port". None: no proxy, whatever the environment says."""

    _fetcher: Fetcher = field(init=False, repr=False)
    _endpoint: Endpoint = field(init=False, repr=False)
    _proof: Watched[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.client_id:
            raise ConfigError("client_id: must not be empty")
        self._fetcher = Fetcher(ca=self.ca, proxy=self.proxy, deadline=self.fetch_timeout)
        self._endpoint = Endpoint(self._fetcher, "token", url=self.token_url, issuer=self.issuer, key="token_url")
        match self.client_secret_file, self.client_key_file:
            case Path() as path, None:
                self._proof = Watched([path], lambda: read_secret_text(path), log=_log)
            case None, Path() as path:
                self._proof = Watched([path], lambda: read_signing_key(path), log=_log)
            case _:
                raise ConfigError("client_secret_file, client_key_file: exactly one must say how the gateway logs in")

    @property
    def answers_within(self) -> timedelta:
        """Tell the gateway how long an association may wait for the provider."""
        return self.fetch_timeout

    @property
    def provider(self) -> str:
        """The provider's name in messages."""
        return self.issuer or str(self.token_url)

    async def ask(self, grant: Mapping[str, str], *, exchanged: bool = False) -> Issued:
        """The token that the provider issues for these parameters. Raises FetchError."""
        until, asked = self._fetcher.until(), datetime.now(UTC)
        url = await self._endpoint.url()
        wanted = {"scope": self.scope, "audience": self.audience, "resource": self.resource}
        form = {**grant, **{name: value for name, value in wanted.items() if value is not None}}
        proof, credentials = await self._proof.current_async(), None
        if self.client_key_file is not None:
            form |= {
                "client_id": self.client_id,
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": proof.sign(self._assertion(url), "JWT"),
            }
        elif self.client_secret_sent == "post":  # noqa: S105 (no secret)
            form |= {"client_id": self.client_id, "client_secret": proof}
        else:
            credentials = self.client_id, proof
        try:
            body = await self._fetcher.post(url, form, credentials, until=until)
        except FetchError:
            self._endpoint.doubt()
            raise
        return read_issued(body, asked, exchanged=exchanged)

    def _assertion(self, url: str) -> dict[str, object]:
        """RFC 7523 3: what the gateway says of itself; the audience is the provider, or its token endpoint."""
        now = int(time.time())
        return {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer or url,
            "iat": now,
            "exp": now + _ASSERTION_LIFETIME,
            "jti": uuid4().hex,
        }
