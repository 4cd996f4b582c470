"""A new author's path, timed step by step (pytest -s tells): begun, tested, changed, installed, configured, used."""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.pacs import Pacs
from dicomgate.testing.slices import ct_slice

FEWER_LINES_THAN, SECONDS = 30, 60
MODULE, TESTS = Path("src/dicomgate_ward/__init__.py"), Path("tests/test_ward.py")

# A roster in place of a list of users: only users who are on duty are admitted.
CHANGES = {
    MODULE: {
        '''    """A line for each user, as `user_line` writes it."""
''': '''    """The roster, with a line for each user: what `user_line` writes, a colon, the shift."""

    shifts: list[str]
    """The shifts that may log in."""
''',
        "for name, salt, known in lines}": "for name, salt, known, shift in lines if shift in self.shifts}",
    },
    TESTS: {
        'user_line("alice", "correct horse") + "\\n"': (
            'user_line("alice", "correct horse") + ":night\\n" + user_line("bob", "horse") + ":day\\n"'
        ),
        '{"file": "nowhere"}': '{"file": "nowhere", "shifts": []}',
        "Ward(file=file)": 'Ward(file=file, shifts=["night"])',
        "gateway(Ward, file=file)": 'gateway(Ward, file=file, shifts=["night"])',
        "    file.unlink()\n": """    assert not gate.echo(passcode("bob", "horse")).established
    file.unlink()
""",
    },
}
SHIFTS = 'shifts = ["night"]\n'


def changed(folder: Path) -> int:
    """Make the author's changes; return how many lines were written."""
    count = 0
    for file, changes in CHANGES.items():
        before = after = (folder / file).read_text()
        for old, new in changes.items():
            assert old in after
            after = after.replace(old, new)
        (folder / file).write_text(after)
        count += sum(line.startswith("+ ") for line in difflib.ndiff(before.splitlines(), after.splitlines()))
    return count


def environment(folder: Path) -> str:
    """The interpreter of a new virtual environment that has everything that this one has."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    python = folder / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    there = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    here = sysconfig.get_path("purelib")
    Path(there, "all-that-is-here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    return str(python)


def configuration(readme: str, pacs: tuple[str, int]) -> str:
    """The README's, for this PACS, on a free port, with the author's own key."""
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    return str(toml).replace(":11112", ":0").replace("127.0.0.1:4242", f"{pacs[0]}:{pacs[1]}") + SHIFTS


def logged_in(python: str, port: int, user: str, passcode: str, folder: Path) -> bool:
    """Let storescu send an image; or, where it is not installed, the gateway's own client a C-ECHO."""
    command = [python, *DICOMGATE[1:], "echo", f"127.0.0.1:{port}", "--user", user]
    if shutil.which("storescu"):
        command = ["storescu", "127.0.0.1", str(port), "ct.dcm", "-usr", user, "-pwd", passcode]
    ended = subprocess.run(command, cwd=folder, input=f"{passcode}\n", capture_output=True, text=True, timeout=60)
    assert ended.returncode in (0, 1), ended.stderr
    return ended.returncode == 0


def test_from_an_empty_folder_to_a_login(tmp_path: Path, serving: Callable[..., AbstractContextManager[Any]]) -> None:
    pytest.importorskip("hatchling")
    began = last = time.monotonic()

    def done(step: str) -> None:
        nonlocal last
        now = time.monotonic()
        sys.stdout.write(f"{now - last:5.1f} s  {step}\n")
        last = now

    def call(*command: object, cwd: Path = tmp_path) -> str:
        arguments = [str(part) for part in command]
        ended = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    folder = tmp_path / "dicomgate-ward"
    call(*DICOMGATE, "plugins", "new", "ward")
    done("dicomgate plugins new ward")
    assert "passed" in call(sys.executable, "-m", "pytest", "-q", cwd=folder)
    done("its tests pass")
    lines = changed(folder)
    assert "passed" in call(sys.executable, "-m", "pytest", "-q", cwd=folder)
    done(f"its tests pass, changed by its author in {lines} lines")
    python = environment(tmp_path / "venv")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--no-index")
    call(*pip, "--no-deps", "--no-build-isolation", "-q", "-e", folder)
    keys = call(python, *DICOMGATE[1:], "plugins", "ward")
    assert "shifts\tlist of texts\trequired\tThe shifts that may log in." in keys
    done("pip install -e ., dicomgate plugins ward")
    with Pacs() as pacs:
        path = tmp_path / "dicomgate.toml"
        path.write_text(configuration((folder / "README.md").read_text(), pacs.address))
        (tmp_path / "users").touch(mode=0o600)
        roster = "from dicomgate_ward import user_line as line; print(line('alice', 'correct horse') + ':night')"
        (tmp_path / "users").write_text(call(python, "-c", f"{roster}; print(line('bob', 'horse') + ':day')"))
        call(python, *DICOMGATE[1:], "check")
        done("dicomgate check")
        ct_slice(tmp_path / "ct.dcm")
        with serving(path, python=python) as gate:
            gate.wait_for("listening on")
            port = gate.port("clinical")
            assert logged_in(python, port, "alice", "correct horse", tmp_path)
            assert not logged_in(python, port, "bob", "horse", tmp_path)
            gate.wait_for('claimed user "bob": ward: unknown user, or wrong passcode')
        assert len(pacs.stored) + pacs.echoes == 1
        done("dicomgate serve, two logins")
    assert lines + len(SHIFTS.splitlines()) < FEWER_LINES_THAN
    assert time.monotonic() - began < SECONDS
