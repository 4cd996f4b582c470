"""What docs/writing-an-authenticator.md shows is run: its authenticators, its tests, its configuration."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from dicomgate import Accept, Attempt, ConfigError, Reject, Unavailable
from dicomgate.auth import loading as discovery
from dicomgate.auth.chain import Chain
from dicomgate.auth.kind import AUTHENTICATORS
from dicomgate.run.assembly import assemble
from dicomgate.testing import AuthenticatorContract, attempt, passcode
from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.gateway import Gateway, Login
from dicomgate.testing.pages import DOCS, PAGES, blocks, name, rows, section

AUTHENTICATOR = DOCS / "writing-an-authenticator.md"


def python_block(containing: str) -> str:
    (block,) = [block for block in blocks(AUTHENTICATOR, "python") if containing in block.text]
    return block.text


def module(source: str, called: str) -> ModuleType:
    made = ModuleType(called)
    exec(compile(source, str(AUTHENTICATOR), "exec", dont_inherit=True), vars(made))  # noqa: S102 (our own page)
    return made


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first command of the page writes."""
    folder = tmp_path_factory.mktemp("empty")
    command = [*DICOMGATE, "plugins", "new", "ward"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / "dicomgate-ward"


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        folder / "test_it.py",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)


def test_the_page_shows_what_is_written(ward: Path) -> None:
    """And tests/cli/test_scaffold.py lets what is written pass and fail."""
    assert python_block("@dataclass(kw_only=True)\nclass Ward") == (ward / "src/dicomgate_ward/__init__.py").read_text()
    assert python_block("class TestWard") == (ward / "tests/test_ward.py").read_text()
    (block,) = [block.text for block in blocks(AUTHENTICATOR, "toml")]
    assert block in (ward / "README.md").read_text()


@pytest.mark.anyio
async def test_the_authenticator_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("ward", "dicomgate_ward:Ward", AUTHENTICATORS.group)
    monkeypatch.setitem(sys.modules, "dicomgate_ward", module(python_block("class Ward:"), "dicomgate_ward"))
    monkeypatch.setattr(discovery, "entry_points", lambda group: [point])
    (block,) = blocks(AUTHENTICATOR, "toml")
    (tmp_path / "dicomgate.toml").write_text(block.text, "utf-8")
    (tmp_path / "dicomgate_ward.py").write_text(python_block("class Ward:"), "utf-8")
    (users,) = [line for block in blocks(AUTHENTICATOR, "sh") for line in block.text.splitlines() if "umask" in line]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(users, shell=True, cwd=tmp_path, check=True, timeout=60, env=environment)  # noqa: S602 (our own page)
    assert "correct horse" not in (tmp_path / "users").read_text()
    (link,) = assemble(tmp_path / "dicomgate.toml").links.values()

    async def ask(secret: str) -> object:
        async with Chain([link]) as chain:
            return await chain.authenticate(attempt(passcode("alice", secret)))

    assert await ask("correct horse") == Accept(user="alice")
    assert isinstance(await ask("battery staple"), Reject)
    (tmp_path / "users").chmod(0o644)
    assert isinstance(await ask("correct horse"), Unavailable)
    with pytest.raises(ConfigError, match="everybody may read"):
        assemble(tmp_path / "dicomgate.toml")


def test_the_gateway_of_the_page_lets_in_by_title_and_can_fail(tmp_path: Path) -> None:
    shown = python_block("class ByTitle")
    (tmp_path / "test_it.py").write_text(shown, "utf-8")
    done = run_tests(tmp_path)
    assert done.returncode == 0, done.stdout
    (tmp_path / "test_it.py").write_text(shown.replace("if known else", "if True else"), "utf-8")
    assert "1 failed" in run_tests(tmp_path).stdout


def test_the_page_tells_every_law_client_and_field_of_the_kit() -> None:
    laws = {f"`{name}`" for name in vars(AuthenticatorContract) if name.startswith("test_")}
    contract = section(AUTHENTICATOR, "The contract")
    assert {row[0] for row in rows(contract)} == laws
    hooks = {name for name in vars(AuthenticatorContract) if not name.startswith(("_", "test_"))}
    assert [hook for hook in hooks if f"`{hook}`" not in contract] == []
    shown = section(AUTHENTICATOR, "A gateway in a test")
    clients = {name for name in ("echo", "pynetdicom", "storescu") if hasattr(Gateway, name)}
    named = {word for row in rows(shown) for word in re.findall(r"`(?:gate\.)?(\w+)(?:\(identity\))?`", row[0])}
    assert named == clients | {field.name for field in fields(Login)}
    assert [other for other in ("pacs", "audit", "address") if f"`gate.{other}" not in shown] == []


def test_the_page_tells_every_field_of_an_attempt_and_an_accept() -> None:
    told = " ".join(row[0] for row in rows(section(AUTHENTICATOR, "What you get")))
    assert [field.name for field in fields(Attempt) if f"`{field.name}`" not in told] == []
    answers = section(AUTHENTICATOR, "What you answer")
    names = [field.name for field in fields(Accept)]
    assert f"Accept({', '.join(names)})" in answers
    assert [row[0].strip("`") for row in rows(answers)] == names


def test_every_python_block_is_python() -> None:
    found = [(page, block) for page in PAGES for block in blocks(page, "python")]
    assert found
    for page, block in found:
        ast.parse(block.text, f"{name(page)}:{block.line}")
