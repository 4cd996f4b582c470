"""`use = "jwt"`: User-Identity-Type 5, verified with the keys of one issuer (PS3.7 D.3.3.7.1; RFC 7519, 8725, 9068).

Rule 1: one table, one issuer. A token of another issuer is passed on to the next table; no key is tried on it.
Rule 2: keys come from the source in the configuration, never from one that a token names.
Rule 3: keys that cannot be fetched mean `Unavailable`, never a rejection.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from dicomgate import (
    Accept,
    Attempt,
    ConfigError,
    Decision,
    IdentityType,
    Once,
    Pass,
    Probed,
    Reject,
    Unavailable,
    always,
)
from dicomgate.kit.fetch import Fetcher, FetchError
from dicomgate.kit.inspect import ClaimProblem, rejected
from dicomgate.kit.text import told_apart

from .claims import Mapper, Scalar, TokenRules, TokenType, end, told
from .keys import PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS
from .response import Responder
from .sources import READERS, LocalKeys, RemoteKeys
from .token import BadTokenError, NotATokenError, Token, read_token
from .verification import fitting, problems


@dataclass(kw_only=True, eq=False)
class Jwt:
    """The tokens of one issuer. Raises ConfigError for wrong keys and files; contacts no URL before it is entered."""

    issuer: str
    """Who issues the tokens: `iss`, compared byte for byte."""

    audience: str | list[str]
    """Whom they are for: `aud` must name one of these."""

    audience_claim: str = "aud"
    """The claim (dotted path) that names whom a token is for, where that is not `aud`. An `aud` must fit as well."""

    discovery: bool = False
    """Take the keys' URL from the issuer's discovery document, ISSUER/.well-known/openid-configuration."""

    jwks_url: str | None = None
    """The URL of the issuer's keys: a JSON Web Key Set."""

    jwks_file: Path | None = None
    """The file with the issuer's keys: a JSON Web Key Set."""

    public_key_file: Path | None = None
    """The file with the issuer's only key: a public key or a certificate in PEM."""

    secret_file: Path | None = None
    """The file with the secret that the issuer shares with the gateway: one line of 32 bytes or more."""

    algorithms: Sequence[str] = ()
    """The signature algorithms that are accepted. Empty: all that fit the issuer's kind of keys."""

    tokens: TokenType = "access"
    """"access" (`typ` is at+jwt, RFC 9068), "id", or "either"."""

    leeway: timedelta = timedelta(seconds=30)
    """How far clocks may differ; at most a minute."""

    maximum_lifetime: timedelta = timedelta(hours=24)
    """The most time that may lie between `iat` and `exp`."""

    required_claims: Mapping[str, Scalar | list[Scalar]] = field(default_factory=dict)
    """Claim (dotted path) = the value that it must have, or a list of which it must have one; for example a scope."""

    certificate_bound: bool = False
    """Require that every token is bound to the client's certificate (`cnf`). A bound token is always checked."""

    single_use: bool = False
    """Accept each token once, by its `jti`."""

    user_claim: str = "sub"
    """The claim (dotted path) with the user's name."""

    group_claims: Sequence[str] = ()
    """The claims (dotted paths) with the user's groups."""

    refresh: timedelta = timedelta(minutes=5)
    """The time after which keys from a URL are fetched again."""

    stale: timedelta = timedelta(hours=24)
    """How long the last keys are used while no new ones can be fetched."""

    fetch_timeout: timedelta = timedelta(milliseconds=1500)
    """The time for a fetch, from the name's look-up to the last byte. Less than `timeout`."""

    ca: Path | None = None
    """The certificates (PEM) that the URL's server is verified with. None: the system's."""

    proxy: str | None = field(default=None, repr=False)  # it may contain a password
    """The proxy for fetching URLs, "http://host:port". None: no proxy, whatever the environment says."""

    response_key_file: Path | None = None
    """The private key (PEM, P-256 or Ed25519) that signs the response to a client that asks for one."""

    response_issuer: str | None = None
    """The gateway's name in that response (`iss`). None: its host name."""

    handles: ClassVar = frozenset({IdentityType.JWT})
    rules: TokenRules = field(init=False, repr=False)
    keys: LocalKeys | RemoteKeys = field(init=False, repr=False)
    mapper: Mapper = field(init=False, repr=False)
    _responder: Responder | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        audiences = [self.audience] if isinstance(self.audience, str) else self.audience
        if not self.issuer or not audiences or not all(audiences):
            raise ConfigError("issuer and audience: must not be empty")
        if not timedelta() <= self.leeway <= timedelta(minutes=1):
            raise ConfigError("leeway: at most 60s; if clocks differ by more, set them")
        if self.maximum_lifetime <= timedelta() or not self.user_claim:
            raise ConfigError("maximum_lifetime and user_claim: must not be empty, or every login would be refused")
        if not self.audience_claim:
            raise ConfigError("audience_claim: must not be empty; without it, `aud` is the claim")
        self.rules = TokenRules(
            issuer=self.issuer,
            audiences=audiences,
            tokens=self.tokens,
            leeway=self.leeway.total_seconds(),
            maximum_lifetime=self.maximum_lifetime.total_seconds(),
            required=self.required_claims,
            bound=self.certificate_bound,
            single_use=self.single_use,
            audience_claim=self.audience_claim,
        )
        self.mapper = Mapper(self.user_claim, self.group_claims)
        self.algorithms = self._allowed()
        self.keys = self._source()
        if self.response_key_file is not None:
            self._responder = Responder(self.response_key_file, self.response_issuer or socket.gethostname())
        elif self.response_issuer is not None:
            raise ConfigError("response_issuer: needs a response_key_file, without which no response is signed")

    @property
    def needs_client_certificate(self) -> bool:
        """Tell the gateway that nobody gets in without one."""
        return self.certificate_bound

    @property
    def answers_within(self) -> timedelta | None:
        """Tell the gateway how long a login may wait for keys; None if they are in a file."""
        return self.fetch_timeout if isinstance(self.keys, RemoteKeys) else None

    def _allowed(self) -> list[str]:
        known = SECRET_ALGORITHMS if self.secret_file is not None else PUBLIC_KEY_ALGORITHMS
        wanted = list(self.algorithms) or list(known)
        if not set(wanted) <= set(known):
            raise ConfigError(f"algorithms: with this kind of keys, only {', '.join(known)}")
        return wanted

    def _source(self) -> LocalKeys | RemoteKeys:
        local = [(path, read) for key, read in READERS.items() if (path := getattr(self, key)) is not None]
        if len(local) + (self.jwks_url is not None) + self.discovery != 1:
            raise ConfigError(
                "discovery, jwks_url, jwks_file, public_key_file, secret_file: exactly one must say where the keys are"
            )
        if local:
            keys = LocalKeys(*local[0])
            if not keys.algorithms.intersection(self.algorithms):
                raise ConfigError(f"algorithms: the key is for {', '.join(sorted(keys.algorithms))}")
            return keys
        fetcher = Fetcher(ca=self.ca, proxy=self.proxy, deadline=self.fetch_timeout)
        return RemoteKeys(fetcher, issuer=self.issuer, url=self.jwks_url, refresh=self.refresh, stale=self.stale)

    async def __aenter__(self) -> Jwt:
        """Begin to fetch the keys. If they cannot be fetched now, the log says so; the gateway starts."""
        if isinstance(self.keys, RemoteKeys):
            await self.keys.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if isinstance(self.keys, RemoteKeys):
            await self.keys.close()

    async def probe(self) -> list[Probed]:
        """Ask for the keys, if they are fetched."""
        return [await self.keys.probe()] if isinstance(self.keys, RemoteKeys) else []

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt. It occupies the event loop for less than a millisecond, or a few for a hostile token."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.JWT:
            return Pass("not a token")
        try:
            token = read_token(identity.primary)
        except NotATokenError as error:
            return Pass(str(error), always)
        except BadTokenError as error:
            return Reject(str(error), always)
        if token.issuer != self.issuer:
            return Pass(f"its issuer is {told_apart(token.issuer, self.issuer)}", always)
        try:
            problem = await self._problem(token, attempt)
        except FetchError as error:
            return Unavailable(str(error))
        user = problem or self.mapper.user(token.claims)
        if isinstance(user, ClaimProblem):
            return rejected(user, self.keys.unchanged(token.key_id))
        return self._accept(token, user, attempt)

    async def _problem(self, token: Token, attempt: Attempt) -> ClaimProblem | None:
        if token.algorithm not in self.algorithms:  # before the keys: a token must not cause a needless fetch
            return ClaimProblem("alg", f"{token.algorithm!r} is not among the algorithms")
        keys = fitting(token, await self.keys.named(token.key_id))
        if isinstance(keys, ClaimProblem):
            return keys
        certificate = attempt.peer.certificate
        return next(problems(token, keys, self.rules, certificate=certificate, now=time.time()), None)

    def _accept(self, token: Token, user: str, attempt: Attempt) -> Accept:
        ends = end(token.claims["exp"], self.leeway)
        once = None
        if self.single_use:
            # By (iss, jti) and not by the token's bytes: one token can have several spellings.
            made = datetime.fromtimestamp(token.claims["iat"], UTC)
            once = Once(f"{self.issuer}\0{token.claims['jti']}", ends + self.leeway, made)
        asked = attempt.identity is not None and attempt.identity.positive_response_requested
        return Accept(
            user,
            self.mapper.groups(token.claims),
            server_response=self._responder.respond(token, user, attempt) if self._responder and asked else None,
            expires_at=ends,
            once=once,
            attributes=told(token.claims),
        )
