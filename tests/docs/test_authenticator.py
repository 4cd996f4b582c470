"""What docs/writing-an-authenticator.md shows is run: its authenticators, its tests, its configuration."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
import tomllib
from dataclasses import fields
from hashlib import sha256
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from docs.pages import DOCS, PAGES, blocks, name, rows, section

from dicomgate import Accept, Attempt, ConfigError, Reject, Unavailable, config
from dicomgate.auth import discovery
from dicomgate.auth.calling import Link
from dicomgate.auth.chain import Chain
from dicomgate.testing import attempt, passcode

AUTHENTICATOR = DOCS / "writing-an-authenticator.md"


def python_block(containing: str) -> str:
    (block,) = [block for block in blocks(AUTHENTICATOR, "python") if containing in block.text]
    return block.text


def entry_point() -> EntryPoint:
    """What the page's pyproject.toml names."""
    (project,) = [data for block in blocks(AUTHENTICATOR, "toml") if "project" in (data := tomllib.loads(block.text))]
    ((entry, value),) = project["project"]["entry-points"][discovery.GROUP].items()
    return EntryPoint(entry, value, discovery.GROUP)


def module(source: str, called: str) -> ModuleType:
    made = ModuleType(called)
    exec(compile(source, str(AUTHENTICATOR), "exec", dont_inherit=True), vars(made))  # noqa: S102 (our own page)
    return made


def test_the_authenticator_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = entry_point()
    monkeypatch.setitem(sys.modules, point.module, module(python_block("class Modality"), point.module))
    monkeypatch.setattr(discovery, "entry_points", lambda group: [point])
    (block,) = [block for block in blocks(AUTHENTICATOR, "toml") if "listener" in tomllib.loads(block.text)]
    path = tmp_path / "dicomgate.toml"
    path.write_text(block.text, "utf-8")
    (table,) = config.load(path).tables.authenticator
    made = discovery.make(table.use, table.options, tmp_path)
    assert list(made.certificates.values()) == ["ct-1"]
    known = discovery.make(table.use, {"certificates": {sha256(b"known").hexdigest(): "ct-1"}}, tmp_path)

    async def ask(certificate: bytes) -> object:
        async with Chain([Link(table.title, known)]) as chain:
            return await chain.authenticate(attempt(certificate=certificate))

    assert asyncio.run(ask(b"known")) == Accept(user="ct-1")
    assert isinstance(asyncio.run(ask(b"another")), Reject)
    with pytest.raises(ConfigError, match="64 hexadecimal"):
        discovery.make(table.use, {"certificates": {"ab": "ct-1"}}, tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'certificates'"):
        discovery.make(table.use, {"certificate": {}}, tmp_path)


@pytest.mark.parametrize(
    ("defect", "passes"), [("", True), ('\n    def authenticate(self, _): return Accept("x")', False)]
)
def test_the_tests_of_the_page_pass_and_can_fail(tmp_path: Path, defect: str, passes: bool) -> None:
    (tmp_path / f"{entry_point().module}.py").write_text(python_block("class Modality") + defect, "utf-8")
    tests = tmp_path / "test_modality.py"
    tests.write_text(python_block("AuthenticatorContract"), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, tests.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is passes, done.stdout
    assert (" passed" in done.stdout) is passes or " failed" in done.stdout


def test_the_asynchronous_authenticator_of_the_page_works() -> None:
    directory = module(python_block("class Directory"), "directory").Directory

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        login = await reader.readline() + await reader.readline()
        writer.write({b"alice\nright\n": b"yes\n", b"alice\nwrong\n": b"no\n"}.get(login, b""))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def ask(port: int, secret: bytes) -> object:
        async with Chain([Link("directory", directory(host="127.0.0.1", port=port))]) as chain:
            return await chain.authenticate(attempt(passcode("alice", secret)))

    async def all_of_it() -> list[object]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            answers = [await ask(port, secret) for secret in (b"right", b"wrong", b"other", b"a\nb")]
        return [*answers, await ask(port, b"right")]

    right, wrong, other, forged, gone = asyncio.run(all_of_it())
    assert right == Accept(user="alice")
    assert isinstance(wrong, Reject)
    assert isinstance(forged, Reject)
    assert isinstance(other, Unavailable)
    assert isinstance(gone, Unavailable)
    assert "127.0.0.1" in gone.reason


def test_the_page_tells_every_field_of_an_attempt_and_an_accept() -> None:
    told = " ".join(row[0] for row in rows(section(AUTHENTICATOR, "What you get")))
    assert [field.name for field in fields(Attempt) if f"`{field.name}`" not in told] == []
    signature = f"Accept({', '.join(field.name for field in fields(Accept))})"
    assert signature in section(AUTHENTICATOR, "What you answer")


def test_every_python_block_is_python() -> None:
    found = [(page, block) for page in PAGES for block in blocks(page, "python")]
    assert found
    for page, block in found:
        ast.parse(block.text, f"{name(page)}:{block.line}")
