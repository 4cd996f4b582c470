from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from dicomgate.state import open_state
from dicomgate.state.protocol import Backoff, SharedState

LOCKED = Backoff("account:alice", 5, 30, 3600, 2)
WAITING = Backoff("source:10.0.0.7", 1, 600, 3600)
FREE = Backoff("known:bob\x1b[2J", 5, 30, 3600)


@pytest.fixture
def counted(gate: Path) -> Path:
    """The configuration of a gateway that has counted with three counters."""

    async def count(state: SharedState) -> None:
        await state.take("", (), [LOCKED])
        await state.take("", (), [LOCKED, WAITING])
        await state.take("", (), [FREE])

    ask(gate, count)
    return gate


def ask(gate: Path, question: Callable[[SharedState], Awaitable[Any]]) -> Any:
    async def asking() -> Any:
        state = open_state(gate.parent / "dicomgate-state.sqlite", None)
        try:
            return await question(state)
        finally:
            await state.close()

    return asyncio.run(asking())


def keys(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.split("\t")[0] for line in result.stdout.splitlines()]


def test_what_is_counted_is_listed_most_attempts_first(counted: Path, run: Any) -> None:
    result = run("throttle", "list", "--config", counted)
    assert result.exit_code == 0
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    locked, *others = result.stdout.splitlines()
    assert re.fullmatch(rf"account:alice\t2\t{time}\tit is cleared", locked)
    assert sum(bool(re.fullmatch(rf"source:10\.0\.0\.7\t1\t{time}\t{time}", line)) for line in others) == 1
    assert sum(bool(re.fullmatch(rf"known:bob\\x1b\[2J\t1\t{time}\t-", line)) for line in others) == 1
    assert result.stderr == ""


def test_what_is_cleared_is_verified_at_once(counted: Path, run: Any) -> None:
    assert ask(counted, lambda state: state.take("", (), [LOCKED])).held == "account:alice"
    result = run("throttle", "clear", "account:alice", "account:unknown", "--config", counted)
    assert (result.exit_code, result.stderr, result.stdout) == (0, "1 cleared\n", "")
    assert ask(counted, lambda state: state.take("", (), [LOCKED])).held == ""
    assert ask(counted, lambda state: state.take("", (), [WAITING])).held == "source:10.0.0.7"
    assert run("throttle", "clear", "--all", "--config", counted).stderr == "3 cleared\n"
    assert keys(run("throttle", "list", "--config", counted)) == []
    assert run("throttle", "clear", "--all", "--config", counted).exit_code == 0


def test_a_key_that_nothing_is_counted_under_is_no(counted: Path, run: Any, one_line: Any) -> None:
    line = one_line(run("throttle", "clear", "account:bob\x1b", "--config", counted), 1)
    assert line == 'no counter is called "account:bob\\x1b"\n'
    one_line(run("throttle", "clear", "account:\udcff", "--config", counted), 1)
    said = one_line(run("throttle", "clear", "Alice", "--config", counted), 1)
    assert said == 'no counter is called "Alice"; did you mean account:alice?\n'
    assert "begins with account:" in one_line(run("throttle", "clear", "carol", "--config", counted), 1)
    assert len(keys(run("throttle", "list", "--config", counted))) == 3


@pytest.mark.parametrize("arguments", [(), ("account:alice", "--all")])
def test_clear_wants_keys_or_all_of_them(counted: Path, run: Any, one_line: Any, arguments: tuple[str, ...]) -> None:
    assert "give the keys to clear, or --all" in one_line(run("throttle", "clear", *arguments, "--config", counted), 2)
    assert len(keys(run("throttle", "list", "--config", counted))) == 3


def test_a_file_that_is_not_there_is_not_made(gate: Path, run: Any, one_line: Any) -> None:
    before = sorted(gate.parent.iterdir())
    assert "dicomgate-state.sqlite: does not exist" in one_line(run("throttle", "list", "--config", gate), 3)
    assert sorted(gate.parent.iterdir()) == before


def test_a_file_that_is_no_database_is_a_line(gate: Path, run: Any, one_line: Any) -> None:
    (gate.parent / "dicomgate-state.sqlite").write_bytes(b"no database" * 100)
    assert "cannot be opened: file is not a database" in one_line(run("throttle", "list", "--config", gate), 3)


def test_a_redis_that_is_out_of_reach_is_a_line_without_a_secret(gate: Path, run: Any, one_line: Any) -> None:
    gate.write_text(gate.read_text() + '[state]\nurl = "redis://:canary-secret@127.0.0.1:1/0"\n')
    gate.chmod(0o600)
    line = one_line(run("throttle", "clear", "--all", "--config", gate), 3)
    assert line.startswith("state redis://127.0.0.1:1/0: cannot be reached")
    assert "canary-secret" not in line


def test_a_wrong_url_is_a_mistake_of_the_configuration(gate: Path, run: Any, one_line: Any) -> None:
    lines = gate.read_text().count("\n")
    gate.write_text(gate.read_text() + '[state]\nurl = "http://:canary-secret@127.0.0.1/"\n')
    line = one_line(run("throttle", "list", "--config", gate), 2)
    assert line.startswith(f"{gate}:{lines + 2}: state.url: ")
    assert "canary-secret" not in line
