"""An authenticator's findings on an assertion, part by part, for the operator to read.

Rule: neither the assertion nor its signature is shown, and no values but those that are checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from dicomgate.kit.inspect import ClaimProblem, Finding, findings
from dicomgate.kit.text import quoted

from .authenticator import Saml
from .document import SAML, Element, RefusedError
from .principal import attributes
from .verification import read_assertion, verify


def explain(judge: Saml, data: bytes, address: str, certificate: bytes | None) -> Iterator[Finding]:
    """The findings of `judge` on an assertion; `certificate` is the client's (DER). Raises MetadataUnavailableError.

    Nothing is read after a wrong form or a bad signature, because anybody may have written it.
    """
    now = time.time()
    try:
        assertion, signature = read_assertion(data, judge.decryptor)
    except RefusedError as error:
        yield Finding("form", "wrong", str(error))
        return
    yield Finding("form", "ok", "one assertion, with one signature")
    issuer = assertion[0].text
    if issuer != judge.issuer:
        yield Finding("Issuer", "-", f"{quoted(issuer)}: not this table's")
        return
    try:
        verified = verify(signature, judge.source.trusted(now).certificates)
    except RefusedError as error:
        yield Finding("signature", "wrong", str(error))
        return
    yield Finding("signature", "ok", "verified")
    problems = list(judge.rules.problems(verified, address=address, certificate=certificate, now=now))
    user = judge.mapper.user(verified)
    if isinstance(user, ClaimProblem):
        problems.append(user)
    yield from findings(_checked(verified), problems)
    others = attributes(verified).keys() - {judge.mapper.user_attribute, *judge.mapper.group_attributes}
    if others:
        yield Finding("other attributes", "-", quoted(sorted(others)))


def _checked(verified: Element) -> dict[str, str | None]:
    """The parts that are checked, with their values, in the assertion's order; those that are there."""
    audiences = [one.text for one in verified.iterfind(f"{SAML}Conditions/{SAML}AudienceRestriction/{SAML}Audience")]
    data = verified.find(f"{SAML}Subject/{SAML}SubjectConfirmation/{SAML}SubjectConfirmationData")
    conditions = verified.find(f"{SAML}Conditions")
    name = verified.find(f"{SAML}Subject/{SAML}NameID")
    contexts = [one.text for one in verified.iterfind(f".//{SAML}AuthnContextClassRef")]
    found = {
        "Issuer": quoted(verified[0].text),
        "IssueInstant": verified.get("IssueInstant"),
        "NameID": None if name is None else quoted(name.text),
        "Conditions": None if conditions is None else f"until {conditions.get('NotOnOrAfter')}",
        "Audience": quoted(audiences) if audiences else None,
        "SubjectConfirmationData": None if data is None else f"until {data.get('NotOnOrAfter')}",
        "Recipient": None if data is None else quoted(data.get("Recipient")),
        "AuthnContextClassRef": quoted(contexts) if contexts else None,
    }
    return {what: value for what, value in found.items() if value is not None}
