"""`dicomgate plugins new NAME`: a distribution that passes its tests, or a line that says why there is none."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dicomgate.cli import scaffold as begin

NOT_NAMES = ("Ward", "7ward", "ward_7", "ward--7", "-ward", "../ward", "ward\n", "", "w" * 41)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_all_of_it_is_written_and_named(run: Any) -> None:
    result = run("plugins", "new", "ward-7")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "pip install -e ." in result.stderr
    folder = Path("dicomgate-ward-7")
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "README.md",
        "pyproject.toml",
        "src/dicomgate_ward_7/__init__.py",
        "src/dicomgate_ward_7/py.typed",
        "tests/test_ward_7.py",
    ]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "dicomgate-ward-7"
    assert project["entry-points"] == {"dicomgate.authenticators": {"ward-7": "dicomgate_ward_7:Ward7"}}
    assert [path for path in folder.rglob("*") if path.is_file() and "$" in path.read_text()] == []


def test_its_tests_pass_at_once_and_can_fail(run: Any) -> None:
    assert run("plugins", "new", "ward").exit_code == 0
    done = pytest_in(Path("dicomgate-ward"))
    assert done.returncode == 0, done.stdout
    module = Path("dicomgate-ward/src/dicomgate_ward/__init__.py")
    before = module.read_text()
    check = "if not compare_digest(passcode_hash(identity.secondary, salt), expected):"
    module.write_text(before.replace(check, "if expected == NOBODY[1]:"))
    assert before != module.read_text()
    assert " failed" in pytest_in(Path("dicomgate-ward")).stdout


def test_what_there_is_to_change_is_short(run: Any) -> None:
    assert run("plugins", "new", "ward").exit_code == 0
    tree = ast.parse(Path("dicomgate-ward/src/dicomgate_ward/__init__.py").read_text())
    (kind,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert kind.end_lineno is not None
    assert kind.end_lineno - kind.lineno < 30


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, "is not a name") for name in NOT_NAMES),
        *((name, "is taken") for name in ("new", "none", "exception", "accept", "path", "identity-type")),
        ("passcode", "is installed already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(run: Any, one_line: Any, name: str, words: str) -> None:
    arguments = ("plugins", "new", "--", name) if name.startswith("-") else ("plugins", "new", name)
    assert words in one_line(run(*arguments), 2)
    assert list(Path().iterdir()) == []
    assert list(Path("..").glob("dicomgate-*")) == []


def test_what_is_there_stays_as_it_is(run: Any, one_line: Any) -> None:
    Path("dicomgate-ward").mkdir()
    assert "exists already" in one_line(run("plugins", "new", "ward"), 2)
    assert list(Path("dicomgate-ward").iterdir()) == []
    Path("dicomgate-other").write_text("a file")
    assert "exists already" in one_line(run("plugins", "new", "other"), 2)
    Path("dicomgate-third").symlink_to("nowhere")
    assert "exists already" in one_line(run("plugins", "new", "third"), 2)


def test_where_nothing_can_be_written(run: Any, one_line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert "cannot be written: No space left" in one_line(run("plugins", "new", "ward"), 3)


def test_a_name_is_missing_or_there_are_two(run: Any, one_line: Any) -> None:
    assert "plugins new NAME" in one_line(run("plugins", "new"), 2)
    assert "dicomgate plugins new other" in one_line(run("plugins", "passcode", "other"), 2)


def test_a_credential_is_written_and_its_tests_pass_and_can_fail(run: Any) -> None:
    result = run("plugins", "new", "to-archive", "--credential")
    assert result.exit_code == 0, result.output
    assert "change present() in" in result.stderr
    folder = Path("dicomgate-to-archive")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"dicomgate.credentials": {"to-archive": "dicomgate_to_archive:ToArchive"}}
    assert [path for path in folder.rglob("*") if path.is_file() and "$" in path.read_text()] == []
    done = pytest_in(folder)
    assert done.returncode == 0, done.stdout
    module = folder / "src/dicomgate_to_archive/__init__.py"
    before = module.read_text()
    module.write_text(before.replace("self.username.encode(), passcode", "self.username.encode(), b'old'"))
    assert before != module.read_text()
    assert " failed" in pytest_in(folder).stdout


def test_every_template_has_its_place() -> None:
    templates = {path.name for path in (Path(begin.__file__).parent / "templates").iterdir()}
    named = {template for new in begin._NEW.values() for template in new.files().values()}
    assert templates == named - {None}
