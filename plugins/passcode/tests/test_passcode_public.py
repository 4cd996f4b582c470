"""What the documents show is run: the import file of docs/passcode.md, and what README.md offers to other plugins."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dicomgate_passcode
from dicomgate import Accept, Reject
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.pages import DOCS, ROOT, blocks, text
from dicomgate_passcode import Passcode, policy
from plugins.passcode.tests.users import cheap_hash

PAGE = DOCS / "passcode.md"
README = ROOT / "plugins" / "passcode" / "README.md"


def _block(page: Path, language: str, containing: str) -> str:
    (block,) = [block.text for block in blocks(page, language) if containing in block.text]
    return block


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_passcode
    keys = (Keys(Passcode, under="Configuration"),)


def test_the_import_file_of_the_page_is_imported(run: Callable[..., Any]) -> None:
    result = run("import", "-", stdin=_block(PAGE, "text", "Jane"))
    assert result.exit_code == 0
    assert result.stderr.startswith("3 users added, 0 replaced")
    assert run("verify", "Doe, Jane", stdin='a comma, and a " double quote').exit_code == 0


def test_the_page_tells_the_rules_of_the_policy() -> None:
    page = " ".join(text(PAGE).split())
    assert f"at least {policy.SHORTEST} characters and at most {policy.LONGEST} bytes" in page
    assert f"up to {policy.LONGEST_MINIMUM};" in page
    assert f"the words {policy.CONTEXT[0]}, {policy.CONTEXT[1]} and {policy.CONTEXT[2]}" in page
    assert f"if that has {policy._SHORTEST_NAME} characters or more" in page


def test_the_authenticator_of_the_readme_works(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    shown: dict[str, Any] = {}
    exec(compile(_block(README, "python", "def judge"), "README.md", "exec", dont_inherit=True), shown)  # noqa: S102
    judge, floor = shown["judge"], shown["dummy"].floor
    hashed = cheap_hash()
    assert judge("alice", b"secret", hashed) == Accept(user="alice")
    wrong = [(b"wrong", hashed), (b"", hashed), (b"secret", None), (b"secret", "{SSHA}x"), (b"x\0", hashed)]
    for passcode, of_user in wrong:
        assert isinstance(judge("alice", passcode, of_user), Reject)
    assert len(slept) == 6
    assert all(seconds < floor + 0.1 for seconds in slept)
    assert slept[0] > 0  # a cheap hash takes no time: what is left is slept


def test_every_public_name_is_in_the_readme() -> None:
    of_tables = {"Passcode", "Service", "Username"}  # the gateway makes these
    exported = set(dicomgate_passcode.__all__) - of_tables
    assert [name for name in exported if not re.search(rf"\b{name}\b", text(README))] == []
