"""`dicomgate rules suggest`: from audit files to rules that load, and let exactly that work through."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate.config.load import load
from dicomgate.events.audit import record
from dicomgate.events.events import Cause, Closed, Decided, Established, Facts, Outcome

NOW = datetime.now(UTC)
ECHO = "1.2.840.10008.1.1"


def audit(path: Path, user: str, *, ended: datetime = NOW) -> Path:
    """An audit of one association, in which this user did a C-ECHO."""
    facts = Facts(user, "plain", "192.0.2.1", 4000, "WS_1", "PACS", 2, user, user, "staff", "pacs")
    events = (
        Decided(facts, ended, Outcome.ACCEPT, ""),
        Established(facts, ended, (ECHO,), ()),
        Closed(facts, ended, Cause.RELEASED, "", 1, used={"echo": 1}),
    )
    path.write_text("".join(f"{json.dumps({**record(event), 'node': 'gate'})}\n" for event in events))
    return path


def test_what_is_suggested_is_a_part_of_a_configuration(gate: Path, run: Any, tmp_path: Path) -> None:
    files = audit(tmp_path / "audit.1", "alice"), audit(tmp_path / "audit", "bob")
    result = run("rules", "suggest", "--from", files[0], "--from", files[1])
    assert result.exit_code == 0, result.output
    gate.write_text(gate.read_text() + result.stdout)
    (rule,) = load(gate).tables.rule
    assert (rule.users, rule.allow, rule.authenticators) == (["alice", "bob"], ["echo"], ["staff"])
    assert run("rules", "suggest", "--from", "-", stdin=files[1].read_text()).stdout.count('users = ["bob"]') == 1


def test_only_the_last_days(run: Any, tmp_path: Path) -> None:
    files = audit(tmp_path / "old", "alice", ended=NOW - timedelta(days=8)), audit(tmp_path / "new", "bob")
    options = [part for path in files for part in ("--from", path)]
    assert 'users = ["bob"]' in run("rules", "suggest", *options, "--since", "7d").stdout
    assert 'users = ["alice", "bob"]' in run("rules", "suggest", *options).stdout


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--from", "old", "--since", "7d"], 1, "no work of anybody"),
        (["--from", "broken"], 1, "left out: lines that are no record, or are of another version: 1"),
        (["--from", "old", "--since", "week"], 2, "--since: a duration is a number with a unit"),
        (["--from", "old", "--since", "999999999d"], 2, "--since: "),
        (["--from", "missing"], 3, "missing: No such file"),
    ],
)
def test_without_work_there_is_no_rule(
    options: list[str], status: int, said: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    audit(Path("old"), "alice", ended=NOW - timedelta(days=8))
    Path("broken").write_text("{\n")
    result = run("rules", "suggest", *options)
    assert (result.exit_code, result.stdout) == (status, "")
    assert said in result.stderr
