"""DICOM by other libraries than pynetdicom: pynetdicom2, tiny-pacs and odil as clients, tiny-pacs as a PACS.

The clients run in processes of their own, by tests/clients/echo_store.py: odil is Debian's, for Debian's Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from ..pages import ROOT
from .loopback import HOST, Address, free_port
from .process import Service

CLIENTS = ("pynetdicom2", "tiny_pacs", "odil")
_DEBIANS = "/usr/bin/python3"


@dataclass(frozen=True)
class Saw:
    """The statuses of a C-ECHO and a C-STORE, or what the library says of a refused association."""

    statuses: list[int] | None
    refused: str


def echo_and_store(client: str, address: Address, file: Path, passcode: bytes, *, called: str = "ANY-SCP") -> Saw:
    """Log in as alice, and send both, with one of `CLIENTS`. Skips the test if the library is not installed.

    Raises subprocess.CalledProcessError for every other failure.
    """
    python = python_with(client)
    task = {
        "host": address[0],
        "port": address[1],
        "calling": client.upper(),
        "called": called,
        "file": str(file),
        "user": "alice",
        "passcode": passcode.decode(),
    }
    program = ROOT / "tests" / "clients" / "echo_store.py"
    said = json.dumps(task).encode()
    run = subprocess.run([python, program, client], input=said, capture_output=True, timeout=60, check=True)
    return Saw(**json.loads(run.stdout))


@contextmanager
def tiny_pacs(folder: Path) -> Iterator[Address]:
    """A PACS of pynetdicom2 that keeps what it gets in files below the folder. Its AE title is TINY_PACS."""
    python = python_with("tiny_pacs")
    address = HOST, free_port()
    components = {"InMemoryStorage": {"on": False}, "FileStorage": {"on": True, "storage_dir": str(folder)}}
    configuration = folder / "tiny-pacs.yaml"  # JSON is YAML
    configuration.write_text(json.dumps({"components": components}))
    command: list[str | Path] = [python, "-m", "tiny_pacs", "-c", configuration, "-p", str(address[1])]
    with Service(command, log=folder / "tiny-pacs.log", ports=[address[1]]):
        yield address


def python_with(library: str) -> str:
    """The Python that has the library. Skips the test if there is none."""
    if library != "odil":
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed: pip install --require-hashes -r requirements-clients.lock")
        return sys.executable
    tried = [_DEBIANS, "-c", "import odil"]
    if not Path(_DEBIANS).exists() or subprocess.run(tried, capture_output=True, check=False).returncode:
        pytest.skip("odil is not installed: apt-get install python3-odil")
    return _DEBIANS
