"""`use = "introspection"`: User-Identity-Type 5 with an opaque token, which its issuer's server judges (RFC 7662).

Rule 1: a login needs the server's answer that the token is active. A server that cannot be asked is `Unavailable`.
Rule 2: each login checks the answer anew, also a cached one: against the clock and this client's certificate.
Rule 3: signed tokens are not sent to the server unless the operator says so: they may be valid ones of another issuer.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

from dicomgate import Accept, Attempt, ConfigError, Decision, IdentityType, Pass, Probed, Reject, Unavailable, always
from dicomgate.kit.fetch import Fetcher, FetchError
from dicomgate.kit.files import read_secret_text
from dicomgate.kit.inspect import ClaimProblem
from dicomgate.kit.text import quoted, told_apart

from .claims import Mapper, Scalar, audience_problems, binding_problems, end, time_problems, told, value_problems
from .discovery import Endpoint
from .introspection_cache import Claims, IntrospectionCache
from .token import looks_like_one, plain

_log = logging.getLogger(__name__)

_LONGEST = 4096
_NOBODYS = "dicomgate-check"
_B64TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 2.1: the form of a bearer token."""
_BEARER = ("bearer", "access_token")
"""RFC 7662 2.2, `token_type`; some servers say the second. A refresh token is no login."""


@dataclass(frozen=True, slots=True, repr=False)
class _Shown:
    """What a login showed: the token, and the client's certificate that it may be bound to."""

    token: bytes
    certificate: bytes | None


@dataclass(kw_only=True, eq=False)
class Introspection:
    """Opaque tokens, about which one server is asked, at a login. Raises ConfigError for wrong keys and files."""

    client_id: str
    """The gateway's name at the server."""

    client_secret_file: Path
    """The file with the gateway's secret at the server, on one line; not readable by everybody."""

    url: str | None = None
    """The server's introspection URL. None: the one in the issuer's discovery document (introspection_endpoint)."""

    issuer: str | None = None
    """Who issues the tokens: an answer that names another issuer (`iss`) is refused. Required without a url."""

    audience: str | list[str] | None = None
    """Whom the tokens are for: `aud` must name one of these. None: a token for any service is accepted."""

    required_claims: Mapping[str, Scalar | list[Scalar]] = field(default_factory=dict)
    """Claim (dotted path) = the value that it must have, or a list of which it must have one; for example a scope."""

    user_claim: str = "sub"
    """The claim (dotted path) with the user's name. A client's own token has no `sub`, but a "client_id"."""

    group_claims: Sequence[str] = ()
    """The claims (dotted paths) with the user's groups."""

    tokens: Literal["opaque", "any"] = "opaque"
    """"opaque": what looks like a signed token is passed on. "any": the server is asked about it, too."""

    cache: timedelta = timedelta(seconds=60)
    """How long a positive answer is cached. A revoked token keeps working for up to this long. At most 5m."""

    leeway: timedelta = timedelta(seconds=30)
    """How far clocks may differ; at most a minute."""

    fetch_timeout: timedelta = timedelta(milliseconds=1500)
    """The time for an answer, from the name's look-up to the last byte. Less than `timeout`."""

    ca: Path | None = None
    """The certificates (PEM) that the server's certificate is verified with. None: the system's."""

    proxy: str | None = field(default=None, repr=False)  # it may contain a password
    """The proxy for these requests, "http://host:port". None: no proxy, whatever the environment says."""

    handles: ClassVar = frozenset({IdentityType.JWT})
    _audiences: Sequence[str] = field(init=False, repr=False)
    _answers: IntrospectionCache = field(init=False, repr=False)
    _mapper: Mapper = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._audiences = [self.audience] if isinstance(self.audience, str) else self.audience or []
        if not self.client_id:
            raise ConfigError("client_id: must not be empty")
        if not all(self._audiences) or self.audience == []:
            raise ConfigError("audience: must not be empty; without one, leave it out")
        if not timedelta() <= self.leeway <= timedelta(minutes=1):
            raise ConfigError("leeway: at most 60s; if clocks differ by more, set them")
        if not timedelta() <= self.cache <= timedelta(minutes=5):
            raise ConfigError("cache: at most 5m; a revoked token keeps working for this long")
        if not self._audiences and not self.required_claims:
            where = self.url or self.issuer
            _log.warning("%s: without audience and required_claims a token for any service is accepted", where)
        fetcher = Fetcher(ca=self.ca, proxy=self.proxy, deadline=self.fetch_timeout)
        credentials = self.client_id, read_secret_text(self.client_secret_file)
        endpoint = Endpoint(fetcher, "introspection", url=self.url, issuer=self.issuer)
        self._answers = IntrospectionCache(fetcher, endpoint, credentials, self.cache.total_seconds())
        self._mapper = Mapper(self.user_claim, self.group_claims)

    @property
    def answers_within(self) -> timedelta:
        """Tell the gateway how long a login may wait for the server."""
        return self.fetch_timeout

    async def __aenter__(self) -> Introspection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._answers.close()

    async def probe(self) -> list[Probed]:
        """Ask the server about a token that nobody has."""
        what = f"introspection server {self.url or self.issuer}"
        try:
            await self._answers.claims(_NOBODYS)
        except FetchError as error:
            return [Probed(what, str(error))]
        return [Probed(what)]

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt, within `fetch_timeout`."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.JWT:
            return Pass("not a token")
        if self.tokens == "opaque" and looks_like_one(identity.primary):
            return Pass("a signed token, not an opaque one", always)
        token = plain(identity.primary)
        if len(token) > _LONGEST or _B64TOKEN.fullmatch(token) is None:
            return Reject(f"not a token of 1 to {_LONGEST} letters, digits and -._~+/")
        return await self._judge(_Shown(token, attempt.peer.certificate))

    async def still_valid(self, user: str, handle: object, /) -> Accept | Reject | Unavailable:
        """Whether the user could log in with the same token now: the server is asked anew, whatever is cached."""
        if not isinstance(handle, _Shown):
            return Unavailable("its token is not known: the login was before revalidate was set")
        self._answers.forget(handle.token)
        decision = await self._judge(handle)
        if isinstance(decision, Accept) and decision.user != user:
            return Reject(f"the token is now that of {decision.user!r}")
        return decision

    async def _judge(self, shown: _Shown) -> Accept | Reject | Unavailable:
        try:
            claims = await self._answers.claims(shown.token.decode("ascii"))
        except FetchError as error:
            return Unavailable(str(error))
        if claims is None:
            return Reject("not active: expired, revoked, or never issued by this server")
        problem = next(self._problems(claims, shown.certificate, time.time()), None)
        user = self._mapper.user(claims) if problem is None else problem
        return Reject(str(user)) if isinstance(user, ClaimProblem) else self._accept(claims, user, shown)

    def _problems(self, claims: Claims, certificate: bytes | None, now: float) -> Iterator[ClaimProblem]:
        if self.issuer is not None and "iss" in claims and claims["iss"] != self.issuer:
            yield ClaimProblem("iss", told_apart(claims["iss"], self.issuer))
        kind = claims.get("token_type", "bearer")
        if not isinstance(kind, str) or kind.lower() not in _BEARER:
            yield ClaimProblem("token_type", f"{quoted(kind)} is not the type of an access token")
        if self._audiences:
            yield from audience_problems(claims, self._audiences)
        yield from time_problems(claims, leeway=self.leeway.total_seconds(), now=now)
        yield from value_problems(claims, self.required_claims)
        yield from binding_problems(claims, certificate, bound=False)

    def _accept(self, claims: Claims, user: str, shown: _Shown) -> Accept:
        return Accept(
            user,
            self._mapper.groups(claims),
            expires_at=end(claims["exp"], self.leeway) if "exp" in claims else None,
            attributes=told(claims),
            handle=shown,
        )
