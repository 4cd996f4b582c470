"""docs/kerberos.md says what the keys are, what is refused and why, and what is logged.

Its configuration is run by test_kerberos_gateway.py.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

import gssapi
import pytest

import dicomgate_kerberos
from dicomgate.testing import pages
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate_kerberos import Kerberos, errors
from dicomgate_kerberos.authenticator import LONGEST_NAME
from dicomgate_kerberos.replay import NAME
from plugins.kerberos.tests.conftest import PAGE, Make, accepted
from plugins.kerberos.tests.initiator import SPNEGO, Gss, Raw
from plugins.kerberos.tests.matrix import MATRIX
from plugins.kerberos.tests.test_kerberos_forms import NOT_OURS

TEXT, WORDS = pages.text(PAGE), pages.words(PAGE)


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_kerberos
    keys = (Keys(Kerberos),)
    words = MappingProxyType({"the service's own": (), "a file of the system user": None})


def test_every_reason_is_one() -> None:
    reasons = [reason for reason, _ in MATRIX.values()] + [reason for _, reason in NOT_OURS.values()]
    reasons += [*errors._WORDS.values(), "Cannot find key for", "Cannot decrypt ticket for"]
    for reason in (row[0] for row in pages.table(PAGE, "reason")):
        beginning = re.split(r" \.\.\.|'X'|, which is not", reason.strip("`").removeprefix("... "))[0]
        assert any(beginning in known for known in reasons), reason


def test_the_forms_and_their_first_bytes(kerberos: Make) -> None:
    tokens = {"gss": Gss().token, "raw": Raw().token, "spnego": Gss(mechanism=SPNEGO).token}
    for form, pattern, *_ in pages.table(PAGE, "form"):
        name = form.strip('`"')
        first, _, then = pattern.strip("`").partition(" .. ")
        token = tokens.pop(name)
        assert token.startswith(bytes.fromhex(first))
        assert bytes.fromhex(then) in token[:24]
        assert accepted(kerberos(forms=[name]), token)
    assert tokens == {}


def test_the_client_of_the_page(kerberos: Make) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    asking, verifying = code.split("# ...")
    names: dict[str, Any] = {}
    exec(asking, names)  # noqa: S102
    names["answer"] = accepted(kerberos(), names["token"]).server_response
    exec("#" + verifying, names)  # noqa: S102
    exec(asking, names)  # noqa: S102
    with pytest.raises(gssapi.exceptions.GSSError):
        exec("#" + verifying, names)  # noqa: S102


def test_the_figures() -> None:
    assert f"at most {LONGEST_NAME} characters" in WORDS
    assert f"`{NAME}`" in WORDS
    assert "for three times `clockskew`" in WORDS
