"""docs/tour.md, followed to the letter beside a demonstration that goes on serving; and what other pages have typed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage

from dicomgate.demo import folder
from dicomgate.run.page import missing_packages
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.pages import DOCS, blocks

START, *TYPED = [block.text for block in blocks(DOCS / "tour.md", "sh")]
PROGRAM = Path(sys.executable).parent / "dicomgate"


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, (pattern, text)
    return match[1]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("where")


@pytest.fixture(scope="module")
def printed(where: Path) -> Iterator[str]:
    """What the demonstration has printed, in a terminal of its own, when it goes on serving."""
    name, *arguments = shlex.split(START)
    assert name == "dicomgate"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [str(PROGRAM), *arguments, "--slices", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=where) as process:
        assert process.stdout is not None
        said = ""
        while "dicomgate init" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield said
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_tour_goes_as_it_is_told(printed: str, where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(where / "tour")
    address = found(r"serves on (127\.0\.0\.1:\d+)", printed)
    passcodes = {
        "demo": found(r"the passcode (\w{26});", printed),
        "viewer": found(r"not store, has (\w{26})", printed),
    }

    def typed(line: str, passcode: str = "") -> tuple[int, str]:
        name, *arguments = shlex.split(line.replace("127.0.0.1:11112", address))
        assert name == "dicomgate"
        user = re.search(r"echo .* --user (\w+)", line)
        answer = passcode or (passcodes[user[1]] if user else "")
        done = dicomgate(*arguments, stdin=answer.encode())
        return done.exit_code, done.output

    log_in, status, shut_out, ask = TYPED
    change, echo = log_in.splitlines()
    assert change == "cd tour"
    assert typed(echo)[0] == 0
    refused = typed(echo, "a wrong one")
    assert refused[0] == 1
    assert "1,2,1" in refused[1]
    assert typed(status)[1].splitlines()[-1].endswith("staff: wrong passcode")
    statuses = [typed(line) for line in shut_out.splitlines()]
    assert [one for one, _ in statuses] == [0, 1, 0], statuses
    (may, no), check = (typed(line) for line in ask.splitlines())
    assert may == 1
    assert "no: no rule that matches allows store" in no
    assert check[0] == 0, check
    assert '"event": "Operated"' in (where / "tour" / folder.AUDIT).read_text()
    if not missing_packages():
        page = found(r"status page: (127\.0\.0\.1:\d+)", printed)
        with urllib.request.urlopen(f"http://{page}/ready", timeout=10) as answer:
            assert answer.status == 200


def test_what_is_printed_can_be_typed(printed: str, where: Path) -> None:
    tour = where / "tour"
    assert f"cd {tour}" in printed
    tool = found(r"dicomgate echo (127\.0\.0\.1:\d+) --calling DEMO_CLIENT", printed)
    assert f'bind = "{tool}"' in (tour / folder.EGRESS / folder.CONFIGURATION).read_text("utf-8")
    assert dcmread(tour / folder.SLICE).SOPClassUID == CTImageStorage
    reloaded = subprocess.run([PROGRAM, "reload"], cwd=tour, capture_output=True, text=True, timeout=60)
    assert reloaded.returncode == 0, reloaded


def test_the_login_of_a_script(printed: str, where: Path) -> None:
    port = found(r"serves on 127\.0\.0\.1:(\d+)", printed)
    (block,) = blocks(DOCS / "for-developers.md", "python")
    script = block.text.replace("11112", port).replace('"PACS"', '"DEMO_PACS"').replace('b"alice"', 'b"demo"')
    passcode = found(r"the passcode (\w{26});", printed)
    for secret, said in ((passcode, "0\n"), ("wrong", "")):
        done = subprocess.run(
            [sys.executable, "-c", script.replace("PASSCODE", secret)], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, said), done.stderr


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_who_was_refused_last_night(printed: str, where: Path) -> None:
    (command,) = [block.text for block in blocks(DOCS / "for-pacs-administrators.md", "sh") if block.note == "audit"]
    here = command.replace("/var/log/dicomgate/audit.jsonl", str(where / "tour" / folder.AUDIT))
    lines = subprocess.run(["sh", "-euc", here], capture_output=True, text=True, check=True).stdout.splitlines()
    assert any(line.split("\t")[1:] == ["127.0.0.1", "DEMO_CLIENT", "demo", "staff: wrong passcode"] for line in lines)
