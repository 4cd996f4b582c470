"""What a verified assertion must say to be a login (saml-core-2.0-os 2; RFC 7522 3; PS3.15 B.7).

Rule 1: all of this is read from the tree that was verified, by its own path; nothing is looked for.
Rule 2: what must be there is there once. A Condition that is not understood makes the assertion invalid
        (saml-core-2.0-os 2.5.1.1), and so does a time that is not in UTC (1.3.3).
Rule 3: each problem is found and named, not the first alone: `dicomgate saml inspect` shows them all.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

from .document import Element
from .names import BEARER, DSIG, ENTITY, HOLDER_OF_KEY, SAML

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z", re.ASCII)
_UNDERSTOOD = frozenset((f"{SAML}AudienceRestriction", f"{SAML}OneTimeUse", f"{SAML}ProxyRestriction"))


class Problem(NamedTuple):
    """What is wrong with an assertion: the element, and why in words for the log."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the operator wants of assertions. Seconds throughout."""

    issuer: str
    entity_id: str
    recipient: str
    skew: float
    maximum_lifetime: float
    recipient_required: bool
    address_checked: bool
    holder_of_key: bool
    authentication_required: bool
    contexts: Sequence[str]

    def problems(self, assertion: Element, *, address: str, certificate: bytes | None, now: float) -> Iterator[Problem]:
        """All that is wrong. `address` is the client's, `certificate` its TLS certificate (DER), `now` in Unix time."""
        issuer = assertion[0]
        if issuer.text != self.issuer:
            yield Problem("Issuer", f"{shown(issuer.text)}, not {self.issuer!r}")
        if issuer.get("Format", ENTITY) != ENTITY:  # 2.2.5
            yield Problem("Issuer", f"its Format is {shown(issuer.get('Format'))}")
        issued = read_time(assertion.get("IssueInstant"))
        if issued is None:
            yield Problem("IssueInstant", "no time in UTC")
        elif issued - self.skew > now:
            yield Problem("IssueInstant", f"in {issued - now:.0f} s")
        yield from self._conditions(assertion, issued, now)
        yield from self._subject(assertion, address, certificate, now)
        yield from self._authentication(assertion, now)

    def _conditions(self, assertion: Element, issued: float | None, now: float) -> Iterator[Problem]:
        found = assertion.findall(f"{SAML}Conditions")
        if len(found) != 1:
            yield Problem("Conditions", "is missing" if not found else "several of them")
            return
        (conditions,) = found
        yield from self._window("Conditions", conditions, now)
        ends = read_time(conditions.get("NotOnOrAfter"))
        if ends is not None and issued is not None and ends - issued > self.maximum_lifetime:
            yield Problem("Conditions", f"lives for {ends - issued:.0f} s; {self.maximum_lifetime:.0f} are the most")
        for condition in conditions:
            if condition.tag not in _UNDERSTOOD:
                yield Problem("Conditions", "a condition that is not understood")
        restrictions = conditions.findall(f"{SAML}AudienceRestriction")
        if not restrictions:
            yield Problem("AudienceRestriction", "is missing: it is for everybody")
        for restriction in restrictions:  # each of them holds (2.5.1.4)
            audiences = [audience.text for audience in restriction.findall(f"{SAML}Audience")]
            if self.entity_id not in audiences:
                yield Problem("Audience", f"{shown(audiences)}, not {self.entity_id!r}")

    def _subject(self, assertion: Element, address: str, certificate: bytes | None, now: float) -> Iterator[Problem]:
        found = assertion.findall(f"{SAML}Subject/{SAML}SubjectConfirmation")
        verdicts = [list(self._confirmation(one, address, certificate, now)) for one in found]
        if not found:
            yield Problem("SubjectConfirmation", "is missing")
        elif all(verdicts):  # one that holds is enough (2.4)
            yield from verdicts[0]

    def _confirmation(
        self, confirmation: Element, address: str, certificate: bytes | None, now: float
    ) -> Iterator[Problem]:
        method, where = confirmation.get("Method"), "SubjectConfirmation"
        if method not in (BEARER, HOLDER_OF_KEY) or (self.holder_of_key and method != HOLDER_OF_KEY):
            yield Problem(where, f"{shown(method)} is not the method that is wanted")
            return
        datas = confirmation.findall(f"{SAML}SubjectConfirmationData")
        if len(datas) != 1:
            yield Problem(where, "without SubjectConfirmationData")
            return
        (data,) = datas
        yield from self._window("SubjectConfirmationData", data, now)
        recipient = data.get("Recipient")
        if recipient != self.recipient and (recipient is not None or self.recipient_required):
            yield Problem("Recipient", f"{shown(recipient)}, not {self.recipient!r}")
        if self.address_checked and not _is_address(data.get("Address", address), address):
            yield Problem("Address", f"{shown(data.get('Address'))}, and the client's is {address}")
        if method == HOLDER_OF_KEY:
            held = [_binary(one.text) for one in data.iterfind(f"{DSIG}KeyInfo/{DSIG}X509Data/{DSIG}X509Certificate")]
            if not certificate:
                yield Problem(where, "the holder of a key, and the client has shown no certificate")
            elif certificate not in held:
                yield Problem(where, "the holder of another key than the client's certificate")

    def _authentication(self, assertion: Element, now: float) -> Iterator[Problem]:
        statements = assertion.findall(f"{SAML}AuthnStatement")
        if self.authentication_required and not statements:
            yield Problem("AuthnStatement", "is missing: nobody says that the user was authenticated")
        for statement in statements:
            ends = statement.get("SessionNotOnOrAfter")
            if ends is not None and (read_time(ends) is None or read_time(ends) + self.skew <= now):  # type: ignore[operator]
                yield Problem("SessionNotOnOrAfter", f"{shown(ends)} is over, or no time in UTC")
        if self.contexts:
            path = f"{SAML}AuthnContext/{SAML}AuthnContextClassRef"
            found = [one.text for statement in statements for one in statement.iterfind(path)]
            if not set(found).intersection(self.contexts):
                yield Problem("AuthnContextClassRef", f"{shown(found)} is none of those that are wanted")

    def _window(self, where: str, element: Element, now: float) -> Iterator[Problem]:
        ends, begins = element.get("NotOnOrAfter"), element.get("NotBefore")
        last, first = read_time(ends), read_time(begins)
        if last is None:
            yield Problem(where, "NotOnOrAfter is missing, or no time in UTC")
        elif last + self.skew <= now:
            yield Problem(where, f"ended at {ends}, {now - last:.0f} s ago")
        if begins is not None and first is None:
            yield Problem(where, "NotBefore is no time in UTC")
        elif first is not None and first - self.skew > now:
            yield Problem(where, f"begins at {begins}, in {first - now:.0f} s")


def last_use(assertion: Element) -> float:
    """The moment from which nobody accepts the assertion, in Unix time: the NotOnOrAfter of its Conditions."""
    ends = [read_time(element.get("NotOnOrAfter")) for element in assertion.iterfind(f"{SAML}Conditions")]
    return max(end for end in ends if end is not None)


def session_end(assertion: Element) -> float | None:
    """The moment at which the session ends, if the issuer says so (2.7.2)."""
    ends = [read_time(one.get("SessionNotOnOrAfter")) for one in assertion.iterfind(f"{SAML}AuthnStatement")]
    return min((end for end in ends if end is not None), default=None)


def is_one_time(assertion: Element) -> bool:
    """True if the issuer wants it used once (2.5.1.5)."""
    return assertion.find(f"{SAML}Conditions/{SAML}OneTimeUse") is not None


def read_time(text: str | None) -> float | None:
    """saml-core-2.0-os 1.3.3: xs:dateTime "in UTC form"; in Unix time. None for anything else."""
    match = _TIME.fullmatch(text or "")
    if match is None:
        return None
    try:
        whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return whole + float(match[2] or 0)


def shown(value: object) -> str:
    """A value of an assertion for the log: never more than a line of it."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _is_address(text: str, address: str) -> bool:
    """IPv6 addresses can be written in several ways (RFC 5952 2)."""
    try:
        return ip_address(text) == ip_address(address)
    except ValueError:
        return text == address


def _binary(text: str | None) -> bytes:
    try:
        return b64decode("".join((text or "").split()), validate=True)
    except ValueError:
        return b""
