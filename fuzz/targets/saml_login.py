"""A SAML assertion that its issuer has signed, whatever it says: the authenticator's decision.

An input is an assertion that is not signed; `@5` is a time in five seconds.

Promise: there is a decision, and it is not `Unavailable`. Without the issuer's signature nobody is accepted; with it
what is told is fit for the audit, and the user stands in the assertion.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache

from lxml import etree

from dicomgate import Accept, Unavailable
from dicomgate.auth.decision_check import Defect, check_decision
from dicomgate_saml import Saml
from plugins.saml.tests.mint import (
    P256,
    PASSWORD,
    ask,
    assertion,
    at,
    authentication,
    authenticator,
    conditions,
    confirmation,
    sign_by_hand,
    subject,
)

from ..engine import Target
from ..scratch import scratch

_TIME = re.compile(rb"@(-?[0-9]{1,6})")


@cache
def _judges() -> tuple[Saml, ...]:
    """One with the options that a table mostly has, and one with all that may be required."""
    strict = {"user_attribute": "uid", "check_address": True, "require_authentication": True, "single_use": True}
    strict |= {"require_recipient": True, "authentication_contexts": [PASSWORD]}
    folder = scratch("saml")
    return authenticator(folder, P256, group_attributes=["role"]), authenticator(folder, P256, **strict)


def _run(data: bytes) -> None:
    said = _TIME.sub(lambda found: (at(int(found[1])) or "").encode(), data)
    for judge in _judges():
        assert not isinstance(_decided(judge, said), Accept)
    with suppress(etree.LxmlError, ValueError):  # no signature can be put into this
        said = sign_by_hand(said, P256)
        for judge in _judges():
            decision = _decided(judge, said)
            assert not isinstance(decision, Accept) or decision.user in "".join(etree.fromstring(said).itertext())


def _decided(judge: Saml, document: bytes) -> object:
    decision = ask(judge, document)
    assert not isinstance(decision, Unavailable), decision
    assert not isinstance(check_decision(decision), Defect)
    return decision


def _seeds() -> list[bytes]:
    confirmed = confirmation(ends="@300", begins="@-5", address="192.0.2.1")
    usual = {"id": "_1", "issued": "@0", "conditions": conditions(begins="@-5", ends="@300")}
    usual["authentication"] = authentication(instant="@0", session_ends="@900")
    usual["subject"] = subject("ada", confirmation(ends="@300"))
    roles = {"role": ["reader", "writer"], "uid": ["ada"], "mail": ["ada@hospital.example"]}
    once = conditions(begins="@-5", ends="@300", more="<saml:OneTimeUse/><saml:ProxyRestriction/>")
    return [
        assertion(**usual),
        assertion(**usual, attributes=roles),
        assertion(**{**usual, "subject": subject("ada", confirmed, confirmed)}),
        assertion(**{**usual, "subject": subject("ada", confirmed)}, attributes=roles),
        assertion(**{**usual, "conditions": once}),
        assertion(**{**usual, "authentication": ""}),
    ]


TARGET = Target(
    "saml_login",
    ("dicomgate_saml.authenticator", "dicomgate_saml.claims", "dicomgate_saml.verification", "dicomgate_saml.document"),
    _run,
    (),
    _seeds,
    (
        b"@0",
        b"@-900",
        b"<saml:Audience>x</saml:Audience>",
        b"&#x202E;",
        b"<saml:Condition/>",
        b' NotBefore="@9"',
        b"<a/>",
    ),
    native=True,
)
