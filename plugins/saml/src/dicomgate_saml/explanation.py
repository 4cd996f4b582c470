"""What an authenticator thinks of an assertion, part by part, for the operator to read.

Rule: no assertion, no signature, and no values but those that are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal, NamedTuple

from .authenticator import Saml
from .claims import Problem, shown
from .document import Element, RefusedError
from .names import SAML
from .principal import attributes
from .verification import read_assertion, verify


class Finding(NamedTuple):
    """What was looked at, what is thought of it, and its value or what is wrong with it."""

    what: str
    verdict: Literal["ok", "wrong", "-"]
    detail: str


def explain(judge: Saml, data: bytes, address: str, certificate: bytes | None) -> Iterator[Finding]:
    """What `judge` thinks of an assertion; `certificate` is the client's, DER. Raises MetadataUnavailableError.

    Behind a form or a signature that is not good nothing is looked at: whose words would it be?
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
        yield Finding("Issuer", "-", f"{shown(issuer)}: not this table's")
        return
    try:
        verified = verify(signature, judge.source.trusted(now).certificates)
    except RefusedError as error:
        yield Finding("signature", "wrong", str(error))
        return
    yield Finding("signature", "ok", "verified")
    problems = list(judge.policy.problems(verified, address=address, certificate=certificate, now=now))
    user = judge.mapper.user(verified)
    if isinstance(user, Problem):
        problems.append(user)
    told = _told(verified)
    for name, value in told.items():
        wrong = [Finding(name, "wrong", problem.why) for problem in problems if problem.where == name]
        yield from wrong or [Finding(name, "ok", value)]
    yield from (Finding(problem.where, "wrong", problem.why) for problem in problems if problem.where not in told)
    others = attributes(verified).keys() - {judge.mapper.user_attribute, *judge.mapper.group_attributes}
    if others:
        yield Finding("other attributes", "-", shown(sorted(others)))


def _told(verified: Element) -> dict[str, str]:
    """What is looked at, in the assertion's order, as far as it is there."""
    audiences = [one.text for one in verified.iterfind(f"{SAML}Conditions/{SAML}AudienceRestriction/{SAML}Audience")]
    data = verified.find(f"{SAML}Subject/{SAML}SubjectConfirmation/{SAML}SubjectConfirmationData")
    conditions = verified.find(f"{SAML}Conditions")
    name = verified.find(f"{SAML}Subject/{SAML}NameID")
    contexts = [one.text for one in verified.iterfind(f".//{SAML}AuthnContextClassRef")]
    found = {
        "Issuer": shown(verified[0].text),
        "IssueInstant": verified.get("IssueInstant"),
        "NameID": None if name is None else shown(name.text),
        "Conditions": None if conditions is None else f"until {conditions.get('NotOnOrAfter')}",
        "Audience": shown(audiences) if audiences else None,
        "SubjectConfirmationData": None if data is None else f"until {data.get('NotOnOrAfter')}",
        "Recipient": None if data is None else shown(data.get("Recipient")),
        "AuthnContextClassRef": shown(contexts) if contexts else None,
    }
    return {what: value for what, value in found.items() if value is not None}
