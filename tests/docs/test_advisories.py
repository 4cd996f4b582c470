"""The locks against the advisories that were known when they were last asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.pages import ROOT

from .test_docs import script_named

advisories: Any = script_named("advisories")
SNAPSHOT = json.loads(advisories.SNAPSHOT.read_text("utf-8"))
TAKEN = datetime.fromisoformat(SNAPSHOT["taken"])
ONE = {
    "id": "PYSEC-0", "aliases": ["CVE-0"], "summary": "everybody gets in",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "door"},
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "1.2"}, {"fixed": "1.10"}, {"introduced": "2.0rc1"}]},
            ],
            "versions": ["0.1"],
        }
    ],
}  # fmt: skip


def test_no_locked_version_has_a_known_advisory() -> None:
    wrong, _ = advisories.audit(SNAPSHOT, advisories.locked(ROOT), TAKEN)
    assert wrong == []
    former, _ = advisories.audit(SNAPSHOT, {("starlette", "0.26.0"), ("jinja2", "2.10")}, TAKEN)
    assert len(former) > 1, "a control: versions of which it was known"


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [("0.1", True), ("0.2", False), ("1.2", True), ("1.9.9", True), ("1.10", False), ("2.0rc1", True), ("3", True)],
)
def test_a_version_is_affected_within_a_range_or_by_its_name(version: str, is_affected: bool) -> None:
    assert advisories.affected(ONE, "door", version) is is_affected
    assert not advisories.affected(ONE, "window", version)
    assert not advisories.affected({**ONE, "withdrawn": "2026-01-01T00:00:00Z"}, "door", version)


def test_what_is_old_or_was_not_asked_about_is_told() -> None:
    snapshot = {"taken": "2026-01-01T00:00:00+00:00", "asked": [["door", "1.10"]], "advisories": [ONE]}
    then = datetime(2026, 1, 1, tzinfo=UTC)
    assert advisories.audit(snapshot, {("door", "1.10")}, then) == ([], [])
    wrong, warnings = advisories.audit(snapshot, {("door", "1.9")}, then + timedelta(days=31))
    assert wrong == ["door 1.9: PYSEC-0, CVE-0: everybody gets in"]
    assert warnings[0].startswith("the advisories are those of 2026-01-01, 31 days ago")
    assert warnings[1] == "nobody was asked about 1 of 1 versions: door 1.9"


def test_every_package_and_version_of_the_locks_is_found(tmp_path: Path) -> None:
    (tmp_path / "requirements-x.lock").write_text('a==1.0 ; python_full_version < "3.12" \\\n    --hash=sha256:0\n')
    (tmp_path / "requirements.lock").write_text("a==2.0 \\\n    --hash=sha256:0\n    # via b\nb==3.1.post1\n")
    assert advisories.locked(tmp_path) == {("a", "1.0"), ("a", "2.0"), ("b", "3.1.post1")}
