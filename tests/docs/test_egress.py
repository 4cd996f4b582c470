"""docs/egress.md: what `init --egress` writes is what it shows, and its configurations are made as at a start."""

from __future__ import annotations

import shutil
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from dicomgate.run.assembly import assemble
from dicomgate.testing.pages import DOCS, Block, blocks
from dicomgate.testing.peers.certificates import Certificates

SHOWN = blocks(DOCS / "egress.md", "toml")
COMPLETE = [block for block in SHOWN if block.note in ("egress", "example")]


def test_init_writes_what_the_page_shows() -> None:
    (shown,) = (block for block in SHOWN if block.note == "egress")
    written = files("dicomgate.cli").joinpath("egress.toml").read_text("utf-8")
    assert tomllib.loads(shown.text) == tomllib.loads(written)


@pytest.mark.parametrize("block", COMPLETE, ids=lambda block: block.note)
def test_each_configuration_is_made_without_a_doubt(
    block: Block, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dicomgate.toml").write_text(block.text, "utf-8")
    shutil.copy(certificates.server.certificate, "egress.pem")
    shutil.copy(certificates.server.key, "egress.key")
    for name in ("hospital-ca.pem", "devices-ca.pem"):
        shutil.copy(certificates.ca, name)
    Path("egress.passcode").touch(0o600)
    Path("egress.passcode").write_text("correct horse\n")
    assert assemble(Path("dicomgate.toml")).doubts == ()
