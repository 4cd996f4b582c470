"""docs/kerberos.md says what the keys are, what is refused and why, and what is logged.

Its configuration is run by test_kerberos_gateway.py.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import gssapi
import pytest

import dicomgate_kerberos
from dicomgate import Accept
from dicomgate.kit import watched
from dicomgate.testing import pages
from dicomgate_kerberos import Kerberos, errors
from dicomgate_kerberos.authenticator import LONGEST_NAME
from dicomgate_kerberos.replay import NAME
from plugins.kerberos.tests.conftest import PAGE, Make, accepted, ask
from plugins.kerberos.tests.initiator import SPNEGO, Gss, Raw
from plugins.kerberos.tests.matrix import MATRIX
from plugins.kerberos.tests.test_kerberos_forms import NOT_OURS

TEXT = pages.text(PAGE)
WORDS = " ".join(TEXT.split())
SOURCE = "\n".join(path.read_text("utf-8") for path in Path(dicomgate_kerberos.__file__).parent.glob("*.py"))


def _rows(heading: str) -> list[list[str]]:
    return list(pages.rows(pages.section(PAGE, heading)))


def test_every_key_and_its_default() -> None:
    defaults = {
        "required": "required",
        "the service's own": (),
        "`[]`": (),
        '`["gss", "raw"]`': ("gss", "raw"),
        "a file of the system user": None,
    }
    shown = {row[0].strip("`"): defaults[row[2]] for row in _rows("Configuration")}
    made = {one.name: "required" if one.default is MISSING else one.default for one in fields(Kerberos) if one.init}
    assert shown == made


def test_every_message_of_the_log() -> None:
    shown = " ".join(row[1] for row in _rows("What the log says") if len(row) == 3)
    texts = re.findall(r'_log\.\w+\(\s*"(.*?)"', SOURCE + Path(watched.__file__).read_text("utf-8"))
    written = [part for text in texts for part in text.split("%s")]
    written += ["the ticket is for ", "loaded, key versions "]
    assert len(written) > 6
    assert [text for text in written if text not in shown] == []


def test_every_reason_is_one() -> None:
    reasons = [row.reason for row in MATRIX.values()] + [reason for _, reason in NOT_OURS.values()]
    reasons += [*errors._WORDS.values(), "Cannot find key for", "Cannot decrypt ticket for"]
    for reason in (row[0] for row in _rows("What the log says") if len(row) == 2):
        beginning = re.split(r" \.\.\.|'X'|, which is not", reason.strip("`"))[0]
        assert any(known.startswith(beginning) for known in reasons), reason


def test_the_forms_and_their_first_bytes(kerberos: Make) -> None:
    raw = Raw()
    tokens = {"gss": Gss().token, "raw": raw.token, "spnego": Gss(mechanism=SPNEGO).token}
    for form, pattern, *_ in _rows("What a client may send"):
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
    names: dict[str, object] = {}
    exec(asking, names)  # noqa: S102
    accept = ask(kerberos(), names["token"])  # type: ignore[arg-type]
    assert isinstance(accept, Accept)
    names["answer"] = accept.server_response
    exec("#" + verifying, names)  # noqa: S102
    exec(asking, names)  # noqa: S102
    with pytest.raises(gssapi.exceptions.GSSError):
        exec("#" + verifying, names)  # noqa: S102


def test_the_figures() -> None:
    assert f"at most {LONGEST_NAME} characters" in WORDS
    assert f"`{NAME}`" in WORDS
    assert "for three times `clockskew`" in WORDS
    assert "timedelta(seconds=3 * self.acceptor.skew)" in SOURCE
