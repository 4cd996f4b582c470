"""`use = "saml"`: User-Identity-Type 4, assertions of one issuer (PS3.7 D.3.3.7.1, PS3.15 B.7; saml-core-2.0-os).

Rule 1: one table, one issuer. An assertion that names another is passed on; nothing else that is not verified decides
        anything.
Rule 2: the defaults are strict, and each relaxation is a key of its own.
Rule 3: whose keys are out of reach is `Unavailable`, never a rejection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from dicomgate import Accept, Attempt, ConfigError, Decision, Identity, IdentityType, Once, Pass, Reject, Unavailable

from .claims import Policy, Problem, is_one_time, last_use, session_end, shown
from .decryption import Decryptor
from .document import Element, RefusedError
from .principal import Mapper, told
from .response import Responder
from .sources import FixedSource, MetadataUnavailableError, Source, UrlSource, certificate_files, metadata_file
from .verification import SealedError, read_assertion, verify

_LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


@dataclass(kw_only=True, eq=False)
class Saml:
    """The assertions of one identity provider.

    Raises ConfigError for what is wrong with these keys and the files they name. Whether a URL answers is not asked
    before the gateway serves.
    """

    issuer: str
    """Who issues the assertions: its entity ID, character for character."""

    entity_id: str
    """What the gateway is called there: each AudienceRestriction must name it."""

    certificates: Sequence[Path] = ()
    """Its signing certificates in PEM; two while it changes keys."""

    metadata_file: Path | None = None
    """Or its metadata."""

    metadata_url: str | None = None
    """Or where that is: https."""

    metadata_signers: Path | None = None
    """Who signs the metadata, certificates in PEM. Required with `metadata_url`, but for `unsigned_metadata`."""

    unsigned_metadata: bool = False
    """Metadata from the URL need not be signed: what the server's TLS certificate vouches for is believed."""

    recipient: str | None = None
    """What Recipient must be. None: the `entity_id`."""

    require_recipient: bool = True
    """An assertion without Recipient is refused."""

    check_address: bool = True
    """If the assertion names the client's address, it must be that."""

    require_authentication: bool = True
    """An assertion must say how its user was authenticated (AuthnStatement)."""

    authentication_contexts: Sequence[str] = ()
    """In one of these ways (AuthnContextClassRef). Without any: in whatever way."""

    holder_of_key: bool = False
    """Every assertion must name the client's TLS certificate. One that says nothing else is held to it in any case."""

    single_use: bool = True
    """An assertion logs in once. One that says OneTimeUse does in any case."""

    clock_skew: timedelta = timedelta(minutes=1)
    """By how much clocks may differ; at most three minutes."""

    maximum_lifetime: timedelta = timedelta(hours=1)
    """From IssueInstant to the conditions' NotOnOrAfter, no more than this."""

    user_attribute: str | None = None
    """The attribute that is the user's name. None: the NameID."""

    group_attributes: Sequence[str] = ()
    """The attributes whose values are the user's groups."""

    key_file: Path | None = None
    """The gateway's RSA key in PEM: assertions may be encrypted for it, and it signs responses."""

    certificate_file: Path | None = None
    """The certificate of that key; without it responses are of zero length."""

    refresh: timedelta = timedelta(hours=1)
    """Metadata from a URL is fetched again after so long."""

    fetch_timeout: timedelta = timedelta(seconds=10)
    """What a fetch has, from the name's look-up to the last byte."""

    ca: Path | None = None
    """The certificates (PEM) that vouch for the URL's server. None: the system's."""

    proxy: str | None = field(default=None, repr=False)
    """The proxy through which the URL is fetched, "http://host:port". None: none."""

    handles: frozenset[IdentityType] = field(init=False, repr=False, default=frozenset({IdentityType.SAML}))
    policy: Policy = field(init=False, repr=False)
    source: Source = field(init=False, repr=False)
    mapper: Mapper = field(init=False, repr=False)
    decryptor: Decryptor | None = field(init=False, repr=False, default=None)
    _responder: Responder | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if not self.issuer or not self.entity_id:
            raise ConfigError("issuer and entity_id: must not be empty")
        if self.recipient == "":
            raise ConfigError("recipient: must not be empty")
        if self.maximum_lifetime <= timedelta():
            raise ConfigError("maximum_lifetime: must be more than nothing")
        if not timedelta() <= self.clock_skew <= timedelta(minutes=3):
            raise ConfigError("clock_skew: at most 3m: a clock that is further off is to be set")
        self.policy = Policy(
            issuer=self.issuer,
            entity_id=self.entity_id,
            recipient=self.recipient or self.entity_id,
            skew=self.clock_skew.total_seconds(),
            maximum_lifetime=self.maximum_lifetime.total_seconds(),
            recipient_required=self.require_recipient,
            address_checked=self.check_address,
            holder_of_key=self.holder_of_key,
            authentication_required=self.require_authentication,
            contexts=self.authentication_contexts,
        )
        self.mapper = Mapper(self.user_attribute, self.group_attributes)
        self.source = self._make_source()
        if self.key_file is not None:
            self.decryptor = Decryptor(self.key_file)
            if self.certificate_file is not None:
                self._responder = Responder(self.key_file, self.certificate_file, self.entity_id)
        elif self.certificate_file is not None:
            raise ConfigError("certificate_file: of which key? Name the key_file")

    def _make_source(self) -> Source:
        given = (bool(self.certificates), self.metadata_file is not None, self.metadata_url is not None)
        if sum(given) != 1:
            raise ConfigError("one of certificates, metadata_file, metadata_url: where the issuer's keys are")
        if self.certificates:
            return FixedSource(list(self.certificates), certificate_files(self.certificates))
        signers = () if self.metadata_signers is None else certificate_files([self.metadata_signers])().certificates
        if self.metadata_file is not None:
            return FixedSource([self.metadata_file], metadata_file(self.metadata_file, self.issuer, signers))
        if not signers and not self.unsigned_metadata:
            raise ConfigError("metadata_signers: who signs the metadata? Or say unsigned_metadata = true")
        return UrlSource(
            str(self.metadata_url), self.issuer, signers,
            refresh=self.refresh, deadline=self.fetch_timeout, ca=self.ca, proxy=self.proxy,
        )  # fmt: skip

    async def __aenter__(self) -> Saml:
        """Begin to fetch metadata; that it cannot be had now is a line in the log, not a reason not to start."""
        await self.source.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.source.__aexit__(kind, error, trace)

    def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt, in a thread of this authenticator's own."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.SAML:
            return Pass("not an assertion")
        try:
            assertion, signature = read_assertion(identity.primary, self.decryptor)
            if assertion[0].text != self.issuer:
                return Pass(f"its issuer is {shown(assertion[0].text)}")
            verified = verify(signature, self.source.trusted(time.time()).certificates)
        except SealedError as error:
            return Pass(str(error))
        except RefusedError as error:
            return Reject(str(error))
        except MetadataUnavailableError as error:
            return Unavailable(str(error))
        peer = attempt.peer
        problems = self.policy.problems(verified, address=peer.address, certificate=peer.certificate, now=time.time())
        problem = next(problems, None)
        user = self.mapper.user(verified) if problem is None else problem
        return Reject(str(user)) if isinstance(user, Problem) else self._accept(verified, user, identity)

    def _accept(self, verified: Element, user: str, identity: Identity) -> Accept:
        once = None
        if self.single_use or is_one_time(verified):
            once = Once(f"{self.issuer}\0{verified.get('ID')}", _moment(last_use(verified)) + self.clock_skew)
        asked = identity.positive_response_requested  # else a signature would be made for nobody
        return Accept(
            user,
            self.mapper.groups(verified),
            server_response=self._responder.respond(verified.get("ID")) if self._responder and asked else None,
            expires_at=self._end(session_end(verified)),
            once=once,
            attributes=told(verified),
        )

    def _end(self, session_ends: float | None) -> datetime | None:
        if session_ends is None:
            return None
        ends = _moment(session_ends)
        # Behind its end it was accepted for the sake of a clock that goes wrong, and the login ends with that.
        return ends if ends > datetime.now(UTC) else ends + self.clock_skew


def _moment(seconds: float) -> datetime:
    """Some write the last tenth of a microsecond of the calendar where they mean "never"."""
    return datetime.fromtimestamp(min(seconds, _LAST_DAY), UTC)
