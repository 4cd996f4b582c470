"""A newcomer follows the quickstart to the letter: from the clone to an image in Orthanc, and then with TLS.

`pytest -s` tells how long each section took.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomgate.testing.pages import DOCS, ROOT, text
from dicomgate.testing.peers.loopback import free_port, wait_until
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.process import Service, require
from dicomgate.testing.slices import ct_slice

QUICKSTART = DOCS / "quickstart.md"


class Newcomer:
    """A shell in which the page's commands are typed, with ports of our own in the place of its."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self.folder = folder
        self._ports = ports
        self._passcode = ""
        self._began = time.monotonic()

    def here(self, typed: str) -> str:
        """The commands with our ports, and with the passcode that was printed."""
        for port, ours in self._ports.items():
            typed = typed.replace(port, str(ours))
        return typed.replace("PASSCODE", self._passcode).replace("python3 ", f"{sys.executable} ")

    def follow(self, heading: str, *numbers: int) -> str:
        """Type the shell blocks of a section, or those of these numbers; return all that is printed."""
        _, _, after = text(QUICKSTART).partition(f"\n## {heading}\n")
        found = re.findall(r"```sh\n(.*?)```", after.partition("\n## ")[0], re.DOTALL)
        typed = self.here("".join(found[number] for number in numbers or range(len(found))))
        said = self.type(typed)
        print(f"{time.monotonic() - self._began:6.1f} s  {heading}")  # noqa: T201
        return said

    def type(self, typed: str) -> str:
        """Type something where the page has led to; the passcode is what is asked for."""
        activate = "set -e; [ ! -f gate-env/bin/activate ] || . gate-env/bin/activate; [ ! -d gate ] || cd gate;"
        command = ["bash", "-c", f"{activate}\n{typed}"]
        told = subprocess.run(command, cwd=self.folder, input=self._passcode, capture_output=True, text=True,
                              timeout=240, env=os.environ | {"TCP_NODELAY": "1"})  # fmt: skip
        assert told.returncode == 0, (typed, told)
        return told.stdout + told.stderr

    def remember(self, said: str) -> None:
        """Keep the passcode, which is the only line of its kind."""
        (self._passcode,) = re.findall(r"^\S{12,}$", said, re.MULTILINE)

    def serve(self) -> Service:
        """`dicomgate serve`, in a terminal of its own."""
        program = self.folder / "gate-env" / "bin" / "dicomgate"
        configuration = self.folder / "gate" / "dicomgate.toml"
        log = self.folder / "serve.log"
        log.write_text("")
        return Service([program, "serve", "--config", configuration], log=log,
                       ready=lambda: "listening on" in log.read_text())  # fmt: skip


@pytest.fixture
def newcomer(tmp_path: Path, orthanc: Orthanc) -> Iterator[Newcomer]:
    require("storescu", "dcmtk")
    require("git", "git")
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", tmp_path / "dicomgate"], check=True)
    ports = {"4242": orthanc.address[1], "11112": free_port(), "2762": free_port()}
    folder = tmp_path / "dicomgate"
    yield Newcomer(folder, ports)
    shutil.rmtree(folder)


def test_from_the_clone_to_an_image_in_orthanc_and_on_to_tls(newcomer: Newcomer, orthanc: Orthanc) -> None:
    newcomer.follow("1. Install")
    newcomer.remember(newcomer.follow("2. Write a configuration", 0))
    configuration = newcomer.folder / "gate" / "dicomgate.toml"
    configuration.write_text(newcomer.here(configuration.read_text("utf-8")), "utf-8")
    assert "C-ECHO" in newcomer.follow("2. Write a configuration", 1)
    image = ct_slice(newcomer.folder / "gate" / "image.dcm")
    with newcomer.serve():
        newcomer.follow("4. Log in", 0, 1)
        assert orthanc.instances() == [image.SOPInstanceUID]
        with pytest.raises(AssertionError, match="Association Rejected"):
            newcomer.follow("4. Log in", 2)
        newcomer.follow("5. Add users")
    orthanc.clear()
    assert "secured" in newcomer.follow("6. TLS, with an authority of your own", 0, 1)
    with newcomer.serve() as gateway:
        wait_until(lambda: gateway.log.read_text().count("listening on") == 2, "both listeners")
        newcomer.follow("6. TLS, with an authority of your own", 2)
        assert orthanc.instances() == [image.SOPInstanceUID]
