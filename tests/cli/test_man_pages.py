"""Each command has a manual page, and the formatter has nothing to say against it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, ROOT / "scripts" / "man_pages.py", folder], check=True, timeout=60)
    return folder


def test_a_page_has_all_that_help_prints(pages: Path) -> None:
    names = {path.stem for path in pages.iterdir()}
    assert {"dicomgate", "dicomgate-ask", "dicomgate-throttle-clear", "dicomgate-passcode-add"} <= names
    clear = (pages / "dicomgate-throttle-clear.1").read_text()
    for told in ("Clear counters, so that", "\\-\\-all", "\\-h, \\-\\-help", ".SH EXIT STATUS\n0 done, 1 no counter"):
        assert told in clear
    assert "dicomgate\\-throttle\\-clear(1)" in (pages / "dicomgate.1").read_text()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed: apt-get install groff-base")
def test_the_formatter_takes_every_page(pages: Path) -> None:
    every = sorted(pages.iterdir())
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", "-k", *every], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    every[0].write_text(every[0].read_text() + ".XX\n")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", "-k", every[0]], capture_output=True, text=True, timeout=60
    )
    assert "XX" in done.stderr
