"""What a verified assertion must say to be a login (saml-core-2.0-os 2; RFC 7522 3; PS3.15 B.7).

Rule 1: everything is read from the verified tree by its exact path; nothing is searched for.
Rule 2: a required element must occur once. A Condition that is not understood makes the assertion invalid
        (saml-core-2.0-os 2.5.1.1), and so does a time that is not in UTC (1.3.3).
Rule 3: every problem is found, not only the first one: `dicomgate saml inspect` shows them all.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

from dicomgate.kit.inspect import ClaimProblem
from dicomgate.kit.text import quoted, told_apart

from .document import BEARER, DSIG, ENTITY, HOLDER_OF_KEY, SAML, Element

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z", re.ASCII)
_UNDERSTOOD = frozenset((f"{SAML}AudienceRestriction", f"{SAML}OneTimeUse", f"{SAML}ProxyRestriction"))


@dataclass(frozen=True, kw_only=True, slots=True)
class AssertionRules:
    """What the operator requires of assertions. All times are in seconds."""

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

    def problems(
        self, assertion: Element, *, address: str, certificate: bytes | None, now: float
    ) -> Iterator[ClaimProblem]:
        """Every problem. `address` is the client's, `certificate` its TLS certificate (DER), `now` in Unix time."""
        issuer = assertion[0]
        if issuer.text != self.issuer:
            yield ClaimProblem("Issuer", told_apart(issuer.text, self.issuer))
        if issuer.get("Format", ENTITY) != ENTITY:  # 2.2.5
            yield ClaimProblem("Issuer", f"its Format is {quoted(issuer.get('Format'))}")
        issued = read_time(assertion.get("IssueInstant"))
        if issued is None:
            yield ClaimProblem("IssueInstant", "not a time in UTC")
        elif issued - self.skew > now:
            yield ClaimProblem("IssueInstant", f"in {issued - now:.0f} s", until=issued - self.skew)
        yield from self._conditions(assertion, issued, now)
        yield from self._subject(assertion, address, certificate, now)
        yield from self._authentication(assertion, now)

    def _conditions(self, assertion: Element, issued: float | None, now: float) -> Iterator[ClaimProblem]:
        conditions, *more = assertion.findall(f"{SAML}Conditions") or [None]
        if conditions is None or more:
            yield ClaimProblem("Conditions", "occurs several times" if more else "is missing")
            return
        yield from self._window("Conditions", conditions, now)
        ends = read_time(conditions.get("NotOnOrAfter"))
        if ends is not None and issued is not None and ends - issued > self.maximum_lifetime:
            yield ClaimProblem("Conditions", f"lives for {ends - issued:.0f} s, more than {self.maximum_lifetime:.0f}")
        for condition in conditions:
            if condition.tag not in _UNDERSTOOD:
                yield ClaimProblem("Conditions", "a condition that is not understood")
        restrictions = conditions.findall(f"{SAML}AudienceRestriction")
        if not restrictions:
            yield ClaimProblem("AudienceRestriction", "is missing: the assertion would be for everybody")
        for restriction in restrictions:  # all of them must hold (2.5.1.4)
            audiences = [audience.text for audience in restriction.findall(f"{SAML}Audience")]
            if self.entity_id not in audiences:
                yield ClaimProblem(
                    "Audience", told_apart(audiences[0] if len(audiences) == 1 else audiences, self.entity_id)
                )

    def _subject(
        self, assertion: Element, address: str, certificate: bytes | None, now: float
    ) -> Iterator[ClaimProblem]:
        found = assertion.findall(f"{SAML}Subject/{SAML}SubjectConfirmation")
        verdicts = [list(self._confirmation(one, address, certificate, now)) for one in found]
        if not found:
            yield ClaimProblem("SubjectConfirmation", "is missing")
        elif all(verdicts):  # one is enough (2.4)
            until = min((one.until for verdict in verdicts for one in verdict if one.until is not None), default=None)
            yield from (one._replace(until=until) for one in verdicts[0])

    def _confirmation(
        self, confirmation: Element, address: str, certificate: bytes | None, now: float
    ) -> Iterator[ClaimProblem]:
        method, where = confirmation.get("Method"), "SubjectConfirmation"
        if method not in (BEARER, HOLDER_OF_KEY) or (self.holder_of_key and method != HOLDER_OF_KEY):
            yield ClaimProblem(where, f"{quoted(method)} is not an accepted method")
            return
        data, *more = confirmation.findall(f"{SAML}SubjectConfirmationData") or [None]
        if data is None or more:
            yield ClaimProblem(where, "without SubjectConfirmationData")
            return
        yield from self._window("SubjectConfirmationData", data, now)
        recipient = data.get("Recipient")
        if recipient != self.recipient and (recipient is not None or self.recipient_required):
            yield ClaimProblem("Recipient", told_apart(recipient, self.recipient))
        if self.address_checked and not _is_address(data.get("Address", address), address):
            yield ClaimProblem("Address", f"{quoted(data.get('Address'))}, but the client's is {address}")
        if method == HOLDER_OF_KEY:
            held = [_binary(one.text) for one in data.iterfind(f"{DSIG}KeyInfo/{DSIG}X509Data/{DSIG}X509Certificate")]
            if not certificate:
                yield ClaimProblem(where, "holder-of-key, but the client presented no certificate")
            elif certificate not in held:
                yield ClaimProblem(where, "holder-of-key, but with another certificate than the client's")

    def _authentication(self, assertion: Element, now: float) -> Iterator[ClaimProblem]:
        statements = assertion.findall(f"{SAML}AuthnStatement")
        if self.authentication_required and not statements:
            yield ClaimProblem("AuthnStatement", "is missing: nothing says that the user was authenticated")
        for statement in statements:
            ends = statement.get("SessionNotOnOrAfter")
            if ends is not None and (read_time(ends) is None or read_time(ends) + self.skew <= now):  # type: ignore[operator]
                yield ClaimProblem("SessionNotOnOrAfter", f"{quoted(ends)} is over, or not a time in UTC")
        if self.contexts:
            path = f"{SAML}AuthnContext/{SAML}AuthnContextClassRef"
            found = [one.text for statement in statements for one in statement.iterfind(path)]
            if not set(found).intersection(self.contexts):
                yield ClaimProblem("AuthnContextClassRef", f"{quoted(found)} is none of the accepted ones")

    def _window(self, where: str, element: Element, now: float) -> Iterator[ClaimProblem]:
        ends, begins = element.get("NotOnOrAfter"), element.get("NotBefore")
        last, first = read_time(ends), read_time(begins)
        if last is None:
            yield ClaimProblem(where, "NotOnOrAfter is missing, or not a time in UTC")
        elif last + self.skew <= now:
            yield ClaimProblem(where, f"ended at {ends}, {now - last:.0f} s ago")
        if begins is not None and first is None:
            yield ClaimProblem(where, "NotBefore is not a time in UTC")
        elif first is not None and first - self.skew > now:
            yield ClaimProblem(where, f"begins at {begins}, in {first - now:.0f} s", until=first - self.skew)


def last_use(assertion: Element) -> float:
    """The time from which the assertion is not accepted: the NotOnOrAfter of its Conditions, in Unix time."""
    ends = [read_time(element.get("NotOnOrAfter")) for element in assertion.iterfind(f"{SAML}Conditions")]
    return max(end for end in ends if end is not None)


def session_end(assertion: Element) -> float | None:
    """The end of the user's session in Unix time, if the issuer gives one (2.7.2)."""
    ends = [read_time(one.get("SessionNotOnOrAfter")) for one in assertion.iterfind(f"{SAML}AuthnStatement")]
    return min((end for end in ends if end is not None), default=None)


def is_one_time(assertion: Element) -> bool:
    """True if the issuer says that the assertion must be used once (2.5.1.5)."""
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


def _is_address(text: str, address: str) -> bool:
    """IPv6 addresses can be written in several ways (RFC 5952 2)."""
    try:
        return text == address or ip_address(text) == ip_address(address)
    except ValueError:
        return False


def _binary(text: str | None) -> bytes:
    try:
        return b64decode("".join((text or "").split()), validate=True)
    except ValueError:
        return b""
