"""docs/way-back.md: its configuration is made without a doubt, and answers as the page says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from dicomgate.run.assembly import assemble
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.pages import DOCS, blocks
from dicomgate.testing.peers.certificates import Certificates

PAGE = DOCS / "way-back.md"


def test_the_example_keeps_the_two_ways_apart(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = (block for block in blocks(PAGE, "toml") if block.note == "example")
    monkeypatch.chdir(tmp_path)
    Path("dicomgate.toml").write_text(example.text, "utf-8")
    shutil.copy(certificates.server.certificate, "gate.pem")
    shutil.copy(certificates.server.key, "gate.key")
    Path("users.htpasswd").touch(0o600)
    assert assemble(Path("dicomgate.toml")).doubts == ()
    asked = re.findall(r"dicomgate (ask .*?) +# (yes|no)", "".join(block.text for block in blocks(PAGE, "sh")))
    assert [("yes", "no")[dicomgate(*shlex.split(question)).exit_code] for question, _ in asked] == [
        answer for _, answer in asked
    ]
    assert {answer for _, answer in asked} == {"yes", "no"}
