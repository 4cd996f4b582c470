"""`use = "introspection"`: User-Identity-Type 5 with an opaque token, judged by who issued it (RFC 7662).

Rule 1: the server says that the token is active, or nobody gets in; that it could not be asked is `Unavailable`.
Rule 2: its answer is judged anew at each login, a remembered one too: against the clock, and against the certificate
        that this client shows.
Rule 3: no server sees a signed token, unless the operator says so: it may be a good one, of another issuer.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal

from dicomgate import Accept, Attempt, ConfigError, Decision, IdentityType, Pass, Reject, Unavailable
from dicomgate.kit.fetch import Fetcher, FetchError, check_url
from dicomgate.kit.files import read_secret_text

from .answers import Answers, Claims, Fixed, Place
from .claims import Problem, Scalar, audience_problems, binding_problems, shown, time_problems, value_problems
from .discovery import Endpoint
from .principal import Mapper, end, told
from .token import looks_like_one, plain

_log = logging.getLogger(__name__)

_LONGEST = 4096
_B64TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 2.1: how a bearer token is written."""
_BEARER = ("bearer", "access_token")
"""RFC 7662 2.2, `token_type`; the second is what some servers say instead. A refresh token is no login."""


@dataclass(kw_only=True, eq=False)
class Introspection:
    """The opaque tokens of one server, which is asked about each.

    Raises ConfigError for what is wrong with these keys and the files they name. Whether the server answers is not
    asked before the first login.
    """

    client_id: str
    """What this gateway is called there."""

    client_secret_file: Path
    """The file with its secret, on one line; not open to everybody."""

    url: str | None = None
    """Where the server is asked. None: where the issuer's discovery document says (introspection_endpoint)."""

    issuer: str | None = None
    """Who issues the tokens; an answer that names another one (`iss`) is no login. Needed without a url."""

    audience: str | list[str] | None = None
    """Whom the tokens are for: `aud` must name one of these. None: a token for any service is a login."""

    required_claims: Mapping[str, Scalar | list[Scalar]] = field(default_factory=dict)
    """Claim (dotted path) = the value it must have, or a list of which it must have one; a scope for one."""

    user_claim: str = "sub"
    """The claim (dotted path) that is the user's name. A client's own token has no `sub`, but a "client_id"."""

    group_claims: Sequence[str] = ()
    """The claims (dotted paths) whose values are the user's groups."""

    tokens: Literal["opaque", "any"] = "opaque"
    """"opaque": what looks like a signed token is passed on; "any": the server is asked about it, too."""

    cache: timedelta = timedelta(seconds=60)
    """For so long an answer is used again: so long may a token log in that was revoked. "0s": never; at most 5m."""

    leeway: timedelta = timedelta(seconds=30)
    """By how much clocks may differ; at most a minute."""

    fetch_timeout: timedelta = timedelta(milliseconds=1500)
    """What an answer has, from the name's look-up to the last byte. Less than `timeout`."""

    ca: Path | None = None
    """The certificates (PEM) that vouch for the server. None: the system's."""

    proxy: str | None = field(default=None, repr=False)  # with a password in it, perhaps
    """The proxy through which it is asked, "http://host:port". None: none, whatever the environment says."""

    handles: frozenset[IdentityType] = field(init=False, repr=False, default=frozenset({IdentityType.JWT}))
    _audiences: Sequence[str] = field(init=False, repr=False)
    _answers: Answers = field(init=False, repr=False)
    _mapper: Mapper = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._audiences = [self.audience] if isinstance(self.audience, str) else self.audience or []
        if not self.client_id:
            raise ConfigError("client_id: must not be empty")
        if not all(self._audiences) or self.audience == []:
            raise ConfigError("audience: must not be empty; without one, leave it out")
        if not timedelta() <= self.leeway <= timedelta(minutes=1):
            raise ConfigError("leeway: at most 60s: a clock that is further off is to be set")
        if not timedelta() <= self.cache <= timedelta(minutes=5):
            raise ConfigError("cache: at most 5m: for so long may a token log in that was revoked")
        if not self._audiences and not self.required_claims:
            where = self.url or self.issuer
            _log.warning("%s: without audience and required_claims a token for any service is a login", where)
        fetcher = Fetcher(ca=self.ca, proxy=self.proxy, deadline=self.fetch_timeout)
        credentials = self.client_id, read_secret_text(self.client_secret_file)
        self._answers = Answers(fetcher, self._place(fetcher), credentials, self.cache.total_seconds())
        self._mapper = Mapper(self.user_claim, self.group_claims)

    def _place(self, fetcher: Fetcher) -> Place:
        if self.url is not None:
            check_url("url", self.url)
            return Fixed(self.url)
        if self.issuer is None:
            raise ConfigError("url or issuer: where the server is asked")
        check_url("issuer", self.issuer)
        return Endpoint(fetcher, self.issuer, "introspection_endpoint")

    async def __aenter__(self) -> Introspection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._answers.close()

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt, within `fetch_timeout`."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.JWT:
            return Pass("not a token")
        if self.tokens == "opaque" and looks_like_one(identity.primary):
            return Pass("a signed token, not an opaque one")
        token = plain(identity.primary)
        if len(token) > _LONGEST or _B64TOKEN.fullmatch(token) is None:
            return Reject(f"not a token of 1 to {_LONGEST} letters, digits and -._~+/")
        try:
            claims = await self._answers.about(token.decode("ascii"))
        except FetchError as error:
            return Unavailable(str(error))
        if claims is None:
            return Reject("not active: expired, revoked, or never issued by this server")
        problem = next(self._problems(claims, attempt.peer.certificate, time.time()), None)
        if problem is not None:
            return Reject(str(problem))
        user = self._mapper.user(claims)
        return Reject(str(user)) if isinstance(user, Problem) else self._accept(claims, user)

    def _problems(self, claims: Claims, certificate: bytes | None, now: float) -> Iterator[Problem]:
        if self.issuer is not None and "iss" in claims and claims["iss"] != self.issuer:
            yield Problem("iss", f"{shown(claims['iss'])}, not {self.issuer!r}")
        kind = claims.get("token_type", "bearer")
        if not isinstance(kind, str) or kind.lower() not in _BEARER:
            yield Problem("token_type", f"{shown(kind)} is not the type of an access token")
        if self._audiences:
            yield from audience_problems(claims, self._audiences)
        yield from time_problems(claims, leeway=self.leeway.total_seconds(), now=now)
        yield from value_problems(claims, self.required_claims)
        yield from binding_problems(claims, certificate, bound=False)

    def _accept(self, claims: Claims, user: str) -> Accept:
        return Accept(
            user,
            self._mapper.groups(claims),
            expires_at=end(claims["exp"], self.leeway) if "exp" in claims else None,
            attributes=told(claims),
        )
