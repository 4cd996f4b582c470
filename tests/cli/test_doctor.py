"""The page for support tells what is there, and no secret, wherever a secret can stand."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from dicomgate.audit.json_audit import Audit
from dicomgate.events.events import Facts, ReasonClass, Refused
from dicomgate.state import open_state

CANARY = re.compile("canary[^\n]*")
OTHERS = """
[[authenticator]]
use = "acme"
pin = "canary-of-another-author"
nested = { canary = ["canary-of-another-author"], code = 73519 }

[[authenticator]]
use = "radius"
servers = ["127.0.0.1:1"]
secret_file = "radius.secret"
nas_identifier = "gate-7"

[[authenticator]]
use = "jwt"
issuer = "https://idp.example/realm?key=canary#canary"
audience = "eyJhbGciOiJIUzI1NiJ9.canary.canary"
secret_file = "jwt.secret"
algorithms = ["HS256"]

[[credential]]
use = "shown"
name = "to-archive"
pin = "canary-of-another-author"

[[upstream]]
name = "archive"
address = "127.0.0.1:2"
called_ae_titles = ["ARCHIVE"]
credential = "to-archive"

[[rule]]
name = "night-shift"
authenticators = ["staff"]
users = ["canary", "canary.two"]
allow = ["echo"]
"""


@pytest.fixture
def written(gate: Path, distribution: Any) -> Path:
    """A configuration in which, and beside which, everything is a secret."""
    distribution(
        "class Login:\n    def __init__(self, pin: str, nested: dict): ...\n    def authenticate(self, a): ...\n"
        "class Shown:\n    def __init__(self, pin: str): ...\n    def present(self, a): ...\n",
        "[dicomgate.authenticators]\nacme = acme_login:Login\n[dicomgate.credentials]\nshown = acme_login:Shown\n",
    )
    for name in ("radius.secret", "jwt.secret"):
        (gate.parent / name).write_text("canary-in-a-file-of-32-letters-or-more")
        (gate.parent / name).chmod(0o600)
    certificate = trustme.CA().issue_cert("gate.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(gate.parent / "gate.pem"))
    (gate.parent / "gate.pem").chmod(0o600)
    text = gate.read_text().replace('name = "plain"', 'name = "plain"\ntls = { certificate = "gate.pem" }')
    gate.write_text(f"# canary in a comment\n{text}{OTHERS}")
    return gate


def _refuse(path: Path, claimed: str | None, why: str = "", kind: ReasonClass = ReasonClass.WRONG_CREDENTIAL) -> None:
    facts = Facts("1", "plain", "192.0.2.7", 5, "CT1", "PACS", 2, claimed)
    audit = Audit(path, "gate-1")
    audit(Refused(facts, datetime.now(UTC), "A-ABORT", why or f"staff: no user {claimed!r}", kind))
    audit.close()


def test_the_page_tells_what_is_there_and_no_secret(written: Path, run: Any, passcode: str) -> None:
    for number in range(60):
        _refuse(written.parent / "audit.jsonl", f"canary-typed-as-name-{number}")
    open_state(written.parent / "dicomgate-state.sqlite", None)
    result = run("doctor", "--config", written, "--output", written.parent / "page")
    assert (result.exit_code, result.stderr) == (0, "")
    page = result.stdout
    assert CANARY.findall(page.replace("acme_login", "")) == []
    assert passcode not in page
    assert "73519" not in page
    assert "$argon2" not in page
    assert "PRIVATE" not in page
    for told in (
        "authenticator passcode: dicomgate-passcode ", "OpenSSL ", 'nas_identifier = "gate-7"',
        'credential = "to-archive"', "credential shown: acme",
        'secret_file = "radius.secret"', 'pin = "(left out)"', 'issuer = "https://idp.example/realm (left out)"',
        'audience = "(left out)"', "gate.pem: -rw------- ", "gate.example", "sqlite: ", " bytes, whole",
        "0 counters, 0 of them locked",
        'allow = ["echo"]', "rule night-shift: echo; for authenticators staff, 2 users",
        "wrong_credential: staff: no user '(name)'", 'CT1" -> "PACS"',
    ):  # fmt: skip
        assert told in page, told
    assert page.count("wrong_credential") == 50
    assert (written.parent / "page").read_text() == page
    assert stat.S_IMODE((written.parent / "page").stat().st_mode) == 0o600
    assert run("doctor", "--config", written, "--output", written.parent / "page").exit_code == 2
    assert run("doctor", "--user", "no-such-user", "--output", written.parent / "other").exit_code == 2
    assert not (written.parent / "other").exists()


@pytest.mark.parametrize(
    ("claimed", "why", "kind"),
    [
        ("Canary", "throttled: too many attempts in a row, account:canary waits 30 s more", ReasonClass.THROTTLED),
        (None, "the username is not UTF-8: b'canary\\xe9'", ReasonClass.MALFORMED_IDENTITY),
        (None, 'certificate: ambiguous: the user "canary" is another certificate\'s', ReasonClass.WRONG_CREDENTIAL),
        ("caf\xe9 canary", "dir: no entry for 'caf\\xe9 canary", ReasonClass.WRONG_CREDENTIAL),  # cut off in the audit
    ],
)
def test_a_refusal_tells_no_name_in_whatever_spelling(
    gate: Path, run: Any, claimed: str | None, why: str, kind: ReasonClass
) -> None:
    _refuse(gate.parent / "audit.jsonl", claimed, why, kind)
    refusals = run("doctor", "--config", gate).stdout.partition("## The last refusals")[2]
    assert f"type 2: {kind.value}: " in refusals
    assert "canary" not in refusals


@pytest.mark.parametrize(
    "url", ["user:canary@127.0.0.1:1", "redis://u:12/canary@127.0.0.1:1/0", "redis://u:12#canary@h"]
)
def test_a_url_that_is_none_is_left_out(gate: Path, run: Any, url: str) -> None:
    gate.write_text(gate.read_text() + f'[state]\nurl = "{url}"\n')
    gate.chmod(0o600)
    page = run("doctor", "--config", gate).stdout
    assert 'url = "(left out)"' in page
    assert "canary" not in page.replace("canary-7f3a", "")


def test_a_password_in_a_url_is_left_out(gate: Path, run: Any) -> None:
    gate.write_text(gate.read_text() + '[state]\nurl = "redis://canary:canary@127.0.0.1:1/0?password=canary"\n')
    gate.chmod(0o600)
    page = run("doctor", "--config", gate).stdout
    assert 'url = "redis://127.0.0.1:1/0 (left out)"' in page
    assert "problem: state redis://127.0.0.1:1/0: cannot be reached" in page
    assert "canary" not in page.replace("canary-7f3a", "")


def test_what_is_wrong_is_told_in_its_place(gate: Path, run: Any) -> None:
    (gate.parent / "dicomgate-state.sqlite").write_bytes(b"no database" * 100)
    gate.write_text(gate.read_text().replace('file = "users.htpasswd"', 'file = "elsewhere"'))
    result = run("doctor", "--config", gate)
    assert result.exit_code == 0
    assert "elsewhere: No such file or directory" in result.stdout
    assert "problem: " in result.stdout.partition("## Check")[2].partition("## Files")[0]
    assert "damaged: file is not a database" in result.stdout
    assert "audit.jsonl: No such file" in result.stdout.partition("## The last refusals")[2]
    missing = run("doctor", "--config", gate.parent / "nowhere.toml")
    assert missing.exit_code == 0
    assert missing.stdout.count("there is no such file") == 6
