"""DCMTK's clients, its storescp, and its dcmqrscp."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
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
def run_storescp(folder: Path, options: Sequence[str | Path] = (), port: int = 0) -> Iterator[StoreScp]:
    """Run storescp with more `options` until the block ends; what it receives goes to `folder`/received.

    It listens at a free port if none is given.
    """
    program = require("storescp", "dcmtk")
    received = folder / "received"
    received.mkdir()
    scp = StoreScp((HOST, port or free_port()), received, folder / "storescp.log")
    command = [program, "--debug", "--fork", "-od", received, *options, str(scp.address[1])]
    with Service(command, log=folder / "storescp.log", ports=[scp.address[1]], environment=NO_DELAY):
        yield scp


@contextmanager
def run_dcmqrscp(folder: Path, titles: Sequence[str], destinations: Mapping[str, Address]) -> Iterator[Address]:
    """Run dcmqrscp until the block ends. Each of its AE titles is a PACS of its own, with its images in `folder`/title.

    It stores them as they came, less than 1 GiB of a study. `destinations` are the AE titles that C-MOVE may name.
    """
    program = require("dcmqrscp", "dcmtk")
    address = (HOST, free_port())
    areas = [f"{title} {folder / title} RW (500, 1024mb) ANY" for title in titles]
    hosts = [f"host{at} = ({title}, {host}, {port})" for at, (title, (host, port)) in enumerate(destinations.items())]
    for title in titles:
        (folder / title).mkdir()
    lines = ["NetworkTCPPort = 104", "MaxPDUSize = 16384", "MaxAssociations = 16"]
    lines += ["HostTable BEGIN", *hosts, "HostTable END", "VendorTable BEGIN", "VendorTable END"]
    lines += ["AETable BEGIN", *areas, "AETable END"]
    (folder / "dcmqrscp.cfg").write_text("\n".join(lines) + "\n")
    command: list[str | Path] = [program, "-v", "+B", "-c", folder / "dcmqrscp.cfg", str(address[1])]
    with Service(command, log=folder / "dcmqrscp.log", ports=[address[1]], environment=NO_DELAY):
        yield address


def storescu(
    address: Address, *files: Path, called: str = "ANY-SCP", options: Sequence[str | Path] = (), timeout: float = 60
) -> Finished:
    """Send the files with storescu and return how that ended.

    The options of an identity are `-usr -pwd -epw -kt --saml --jwt -rsp`; those of TLS come from `tls_options`.
    Raises subprocess.TimeoutExpired when it has not ended after `timeout` seconds.
    """
    return run_scu("storescu", address, *files, called=called, options=options, timeout=timeout)


def run_scu(
    program: str,
    address: Address,
    *files: Path,
    called: str = "ANY-SCP",
    options: Sequence[str | Path] = (),
    timeout: float = 60,
) -> Finished:
    """Run one of DCMTK's clients: echoscu, storescu, findscu, getscu, movescu. Raises subprocess.TimeoutExpired."""
    command = [require(program, "dcmtk"), "-v", "-aec", called, *options, address[0], str(address[1]), *files]
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
