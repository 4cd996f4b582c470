"""DCMTK's storescp and storescu."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .certificates import Certificates, Leaf
from .loopback import HOST, Address, free_port
from .process import Service, require

# Debian's DCMTK leaves Nagle's algorithm on unless told: each C-STORE would wait for a delayed acknowledgement.
NO_DELAY = {"TCP_NODELAY": "1"}


@dataclass(frozen=True)
class StoreScp:
    """A storescp that runs, each association in a process of its own."""

    address: Address
    folder: Path
    _log: Path

    def stored(self) -> list[Path]:
        """Return the files it has received."""
        return sorted(self.folder.iterdir())

    def log(self) -> str:
        """Return what it printed, at DCMTK's debug level."""
        return self._log.read_text(errors="replace")


@dataclass(frozen=True)
class Finished:
    """How a client's run ended: its exit status and all it printed."""

    status: int
    output: str


@contextmanager
def run_storescp(folder: Path, options: Sequence[str | Path] = ()) -> Iterator[StoreScp]:
    """Run storescp with more `options` until the block ends; what it receives goes to `folder`/received."""
    program = require("storescp", "dcmtk")
    received = folder / "received"
    received.mkdir()
    scp = StoreScp((HOST, free_port()), received, folder / "storescp.log")
    command = [program, "--debug", "--fork", "-od", received, *options, str(scp.address[1])]
    with Service(command, log=folder / "storescp.log", ports=[scp.address[1]], environment=NO_DELAY):
        yield scp


def storescu(
    address: Address, *files: Path, called: str = "ANY-SCP", options: Sequence[str | Path] = (), timeout: float = 60
) -> Finished:
    """Send the files with storescu and return how that ended.

    The options of an identity are `-usr -pwd -epw -kt --saml --jwt -rsp`; those of TLS come from `tls_options`.
    Raises subprocess.TimeoutExpired when it has not ended after `timeout` seconds.
    """
    command = [require("storescu", "dcmtk"), "-v", "-aec", called, *options, address[0], str(address[1]), *files]
    finished = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **NO_DELAY},
        timeout=timeout,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout.decode(errors="replace"))


def tls_options(certificates: Certificates, leaf: Leaf | None = None) -> list[str | Path]:
    """Return the options of storescu and storescp for TLS that trusts `ca`.

    `leaf` is the certificate shown, without which only storescu can do (`+tla`). DCMTK verifies the chain of the
    peer's certificate, but never the name in it.
    """
    shown: list[str | Path] = ["+tla"] if leaf is None else ["+tls", leaf.key, leaf.certificate]
    return [*shown, "+cf", certificates.ca]
