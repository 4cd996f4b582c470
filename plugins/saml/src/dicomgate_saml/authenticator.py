"""`use = "saml"`: User-Identity-Type 4, assertions of one issuer (PS3.7 D.3.3.7.1, PS3.15 B.7; saml-core-2.0-os).

Rule 1: one table, one issuer. An assertion of another issuer is passed on; nothing else is used before it is verified.
Rule 2: the defaults are strict, and each relaxation is a key of its own.
Rule 3: keys that cannot be fetched mean `Unavailable`, never a rejection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
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
from dicomgate.kit.refreshed import Refreshed
from dicomgate.kit.text import told_apart

from .claims import AssertionRules, is_one_time, last_use, read_time, session_end
from .decryption import Decryptor
from .document import Element, RefusedError
from .principal import Mapper, told
from .response import Responder
from .sources import Source, certificate_files, metadata_file, metadata_url, trusted
from .verification import SealedError, read_assertion, verify

_LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


@dataclass(kw_only=True, eq=False)
class Saml:
    """One issuer's assertions. Raises ConfigError for wrong keys and files; contacts no URL before it is entered."""

    issuer: str
    """The provider's entity ID: the assertions' Issuer, compared character for character."""

    entity_id: str
    """The gateway's entity ID at the provider: each AudienceRestriction must name it."""

    certificates: Sequence[Path] = ()
    """The provider's signing certificates in PEM; two while it changes keys."""

    metadata_file: Path | None = None
    """The file with the provider's metadata, instead of certificates."""

    metadata_url: str | None = None
    """The https URL of the provider's metadata, instead of a file."""

    metadata_signers: Path | None = None
    """The certificates (PEM) of the metadata's signers. Required for a `metadata_url` without `unsigned_metadata`."""

    unsigned_metadata: bool = False
    """Accept unsigned metadata from the URL, on the word of the server's TLS certificate."""

    recipient: str | None = None
    """The value that Recipient must have. None: the `entity_id`."""

    require_recipient: bool = True
    """Refuse an assertion without Recipient."""

    check_address: bool = True
    """Require that an Address in the assertion is the client's. Set to false for example behind NAT."""

    require_authentication: bool = True
    """Require that the assertion says how its user was authenticated (AuthnStatement)."""

    authentication_contexts: Sequence[str] = ()
    """The accepted ways of that (AuthnContextClassRef). Empty: all."""

    holder_of_key: bool = False
    """Require that each assertion names the client's TLS certificate. One that says holder-of-key is always checked."""

    single_use: bool = True
    """Accept each assertion once. One that says OneTimeUse is always accepted only once."""

    clock_skew: timedelta = timedelta(minutes=1)
    """How far clocks may differ; at most three minutes."""

    maximum_lifetime: timedelta = timedelta(hours=1)
    """The most time that may lie between IssueInstant and the conditions' NotOnOrAfter."""

    user_attribute: str | None = None
    """The attribute with the user's name. None: the NameID."""

    group_attributes: Sequence[str] = ()
    """The attributes with the user's groups."""

    key_file: Path | None = None
    """The gateway's RSA key in PEM, which decrypts assertions and signs responses."""

    certificate_file: Path | None = None
    """The certificate of that key. None: responses are empty."""

    refresh: timedelta = timedelta(hours=1)
    """The time after which metadata from a URL is fetched again."""

    fetch_timeout: timedelta = timedelta(seconds=10)
    """The time for a fetch, from the name's look-up to the last byte."""

    ca: Path | None = None
    """The certificates (PEM) that the URL's server is verified with. None: the system's."""

    proxy: str | None = field(default=None, repr=False)
    """The proxy for fetching the URL, "http://host:port". None: no proxy."""

    handles: ClassVar = frozenset({IdentityType.SAML})
    rules: AssertionRules = field(init=False, repr=False)
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
            raise ConfigError("maximum_lifetime: must be more than 0s")
        if not timedelta() <= self.clock_skew <= timedelta(minutes=3):
            raise ConfigError("clock_skew: at most 3m; if clocks differ by more, set them")
        self.rules = AssertionRules(
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
            raise ConfigError("certificate_file: needs the key_file of the same key")

    @property
    def needs_client_certificate(self) -> bool:
        """Tell the gateway that nobody gets in without one."""
        return self.holder_of_key

    def _make_source(self) -> Source:
        given = (bool(self.certificates), self.metadata_file is not None, self.metadata_url is not None)
        if sum(given) != 1:
            raise ConfigError(
                "certificates, metadata_file, metadata_url: one of them must say where the issuer's keys are"
            )
        if self.certificates:
            return certificate_files(self.certificates)
        signers = certificate_files([self.metadata_signers]).current().certificates if self.metadata_signers else ()
        if self.metadata_file is not None:
            return metadata_file(self.metadata_file, self.issuer, signers)
        if not signers and not self.unsigned_metadata:
            raise ConfigError("metadata_signers: required for a metadata_url, unless unsigned_metadata = true")
        fetcher = Fetcher(ca=self.ca, proxy=self.proxy, deadline=self.fetch_timeout)
        return metadata_url(str(self.metadata_url), fetcher, self.issuer, signers, self.refresh)

    async def __aenter__(self) -> Saml:
        """Begin to fetch the metadata. If it cannot be fetched now, the log says so; the gateway starts."""
        if isinstance(self.source, Refreshed):
            await self.source.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if isinstance(self.source, Refreshed):
            await self.source.close()

    async def probe(self) -> list[Probed]:
        """Ask for the metadata, if it is fetched."""
        return [await self.source.probe()] if isinstance(self.source, Refreshed) else []

    def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt, in a thread of this authenticator's own."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.SAML:
            return Pass("not an assertion")
        unchanged: Callable[[], bool] = always  # as long as no key was used
        try:
            assertion, signature = read_assertion(identity.primary, self.decryptor)
            if assertion[0].text != self.issuer:
                return Pass(f"its issuer is {told_apart(assertion[0].text, self.issuer)}", always)
            keys = trusted(self.source, time.time())
            unchanged = partial(self.source.is_current, keys)
            verified = verify(signature, keys.certificates)
        except SealedError as error:
            return Pass(str(error), always)
        except RefusedError as error:
            return Reject(str(error), unchanged)
        except FetchError as error:
            return Unavailable(str(error))
        peer = attempt.peer
        problems = self.rules.problems(verified, address=peer.address, certificate=peer.certificate, now=time.time())
        problem = next(problems, None)
        user = self.mapper.user(verified) if problem is None else problem
        if isinstance(user, ClaimProblem):
            return rejected(user, unchanged)
        return self._accept(verified, user, identity.positive_response_requested)

    def _accept(self, verified: Element, user: str, asked: bool) -> Accept:
        once = None
        if self.single_use or is_one_time(verified):
            made = read_time(verified.get("IssueInstant"))
            until = moment(last_use(verified)) + self.clock_skew
            once = Once(f"{self.issuer}\0{verified.get('ID')}", until, None if made is None else moment(made))
        return Accept(
            user,
            self.mapper.groups(verified),
            # Only if the client asked: a signature takes time.
            server_response=self._responder.respond(verified.get("ID")) if self._responder and asked else None,
            expires_at=self._end(session_end(verified)),
            once=once,
            attributes=told(verified),
        )

    def _end(self, session_ends: float | None) -> datetime | None:
        if session_ends is None:
            return None
        ends = moment(session_ends)
        # It was accepted after its end because clocks may differ by the skew; the login ends with the skew.
        return ends if ends > datetime.now(UTC) else ends + self.clock_skew


def moment(seconds: float) -> datetime:
    """Some providers write the last moment of the calendar for "never"."""
    return datetime.fromtimestamp(min(seconds, _LAST_DAY), UTC)
