"""From nothing to a login, with the commands that `init` names."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from dicomgate.testing.commandline import DICOMGATE


def _dicomgate(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DICOMGATE, *arguments], cwd=folder, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def test_init_check_serve_echo(tmp_path: Path, serving: Any, pacs: int) -> None:
    folder = tmp_path / "gate"
    made = _dicomgate(tmp_path, "init", "gate")
    assert made.returncode == 0, made.stderr
    passcode = made.stdout.strip()

    checked = _dicomgate(folder, "check")
    assert checked.returncode == 0, checked.stderr
    config = folder / "dicomgate.toml"
    config.write_text(config.read_text().replace("127.0.0.1:11112", "127.0.0.1:0").replace(":4242", f":{pacs}"))
    assert _dicomgate(folder, "check", "--connect").returncode == 0

    with serving(config) as gateway:
        gateway.wait_for("listening on")
        where = f"127.0.0.1:{gateway.port('clinical')}"
        welcome = _dicomgate(folder, "echo", where, "--user", "alice", "-r", stdin=passcode + "\n")
        stranger = _dicomgate(folder, "echo", where)
        assert gateway.end(signal.SIGTERM) == 0
    assert welcome.returncode == 0, welcome.stderr
    assert "C-ECHO succeeded" in welcome.stdout
    assert stranger.returncode == 1
    assert "1,2,1" in stranger.stderr
    outputs = [checked.stdout, checked.stderr, welcome.stdout, welcome.stderr, *gateway.lines]
    assert passcode not in os.linesep.join(outputs)
