"""What is around the gateway of a machine: its administrator, a PACS and a modality, both DCMTK's."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomgate.testing.slices import ct_images
from tests.release.chroot.machine import Machine

PACS, GATE = 11104, 11112
CONFIGURATION = "/etc/dicomgate/dicomgate.toml"
# What the pages tell an administrator to change in what `dicomgate init` writes: the PACS, and what the service writes.
_EDITS = {
    'address = "127.0.0.1:4242"': f'address = "127.0.0.1:{PACS}"',
    '# audit = "audit.jsonl"': 'audit = "/var/log/dicomgate/audit.jsonl"',
    '# path = "dicomgate-state.sqlite"': 'path = "/var/lib/dicomgate/state.sqlite"',
    '# path = "control.sock"': 'path = "/run/dicomgate/control.sock"',
}


def configure(machine: Machine) -> str:
    """Do what the installer prints as the next steps, and return the passcode of the first user, alice."""
    told = machine.run("cd /etc/dicomgate && dicomgate init")
    file = machine.root / CONFIGURATION.lstrip("/")
    text = file.read_text("utf-8")
    for what, instead in _EDITS.items():
        text = text.replace(what, instead)
    file.write_text(text, "utf-8")
    machine.run("cd /etc/dicomgate && chgrp -R dicomgate . && chmod 0640 *")
    machine.run(f"dicomgate check --config {CONFIGURATION}")
    return passcode(told)


def add_user(machine: Machine, name: str) -> str:
    """Add a user, and return the passcode."""
    return passcode(machine.run(f"cd /etc/dicomgate && dicomgate passcode add {name} --generate"))


def passcode(told: str) -> str:
    """The passcode in what a command printed: it stands alone on its line."""
    (found,) = re.findall(r"^(\S{16,})$", told, re.MULTILINE)
    return str(found)


class Hospital:
    """A PACS and a modality in the network of a machine."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self.stored = folder / "stored"
        self.stored.mkdir()
        self.image = folder / "image.dcm"
        (image,) = ct_images(1, rows=16)
        image.save_as(self.image, enforce_file_format=True)

    def store(self, user: str, passcode: str) -> bool:
        """Store an image through the gateway as a user: whether the PACS has it."""
        self.wait_for(GATE)
        for path in self.stored.iterdir():
            path.unlink()
        login = ["-usr", user, "-pwd", passcode, "-aec", "PACS"]
        command: list[str | Path] = [*self.machine.in_network, "storescu", *login, "127.0.0.1", str(GATE), self.image]
        ended = subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
        has = any(self.stored.iterdir())
        assert has == (ended == 0)
        return has

    def wait_for(self, port: int) -> None:
        """Wait until somebody listens at a port of the machine (proc(5): state 0A of /proc/net/tcp)."""
        listens = f"grep -q ':{port:04X} 00000000:0000 0A' /proc/net/tcp"
        end = time.monotonic() + 30
        while subprocess.run([*self.machine.in_network, "sh", "-c", listens], check=False).returncode != 0:
            assert time.monotonic() < end, f"nobody listens at {port}"
            time.sleep(0.1)


@contextmanager
def hospital(machine: Machine, folder: Path) -> Iterator[Hospital]:
    """A hospital until the block ends. The machine's network has no other."""
    assert machine.run("tail -n +2 /proc/net/route; cat /proc/net/ipv6_route | grep -v ' lo$' || true") == ""
    made = Hospital(machine, folder)
    pacs = subprocess.Popen([*machine.in_network, "storescp", "-od", made.stored, str(PACS)])
    try:
        made.wait_for(PACS)
        yield made
    finally:
        pacs.terminate()
        pacs.wait()
