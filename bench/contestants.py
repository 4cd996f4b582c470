"""The contestants as processes in front of one server: HAProxy, dicomgate, pynetdicom.

dicomgate is its real command line with a real entry point, found in a folder on the path; it writes its audit to a
file, and its log from warnings on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from .processes import PYTHON, ROOT, BenchError, Running, free_port, running, wait_until_listening
from .results import GATE

DIRECT = "direct"
HAPROXY, HAPROXY_256 = "HAProxy", "HAProxy 256 KiB"
ACCEPTOR, STORAGE_ACCEPTOR = "pynetdicom acceptor", "pynetdicom acceptor with storage"
FORWARDER = "pynetdicom forwarder"
NO_HAPROXY = "HAProxy is not installed (apt-get install haproxy): it was left out"


@dataclass(frozen=True, slots=True)
class Contestant:
    """Where to send, and whose CPU counts; None for a direct connection."""

    port: int
    process: Running | None = None

    def cpu(self) -> float:
        """Seconds so far."""
        return self.process.cpu() if self.process else 0.0

    def check(self) -> None:
        """Raise BenchError if it has ended."""
        if self.process:
            self.process.check()


def haproxy_command() -> str | None:
    """Where HAProxy is; Debian puts it where an ordinary user's path does not lead."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


def make_certificate(folder: Path) -> Path:
    """A PEM file with an ECDSA P-256 certificate for localhost and its key: the same for every contestant."""
    path = folder / "bench.pem"
    if not path.exists():
        issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
        path.touch(mode=0o600)
        issued.private_key_and_cert_chain_pem.write_to_path(path)
    return path


@contextmanager
def haproxy(
    folder: Path, upstream: int, *, buffer: int = 0, certificate: Path | None = None, most: int = 1000
) -> Iterator[Contestant]:
    """HAProxy in TCP mode; `buffer` in bytes, 0 for its default of 16 KiB; `most` connections."""
    command = haproxy_command()
    if command is None:
        raise BenchError(NO_HAPROXY)
    port = free_port()
    configuration = folder / f"haproxy-{port}.cfg"
    buffers = f"    tune.bufsize {buffer}\n" if buffer else ""
    # The same protocol versions as dicomgate's listener.
    tls = f" ssl crt {certificate} ssl-min-ver TLSv1.2 no-tls-tickets" if certificate else ""
    configuration.write_text(
        f"global\n    maxconn {most}\n{buffers}"
        "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n"
        f"listen bench\n    bind 127.0.0.1:{port} backlog 4096{tls}\n    server pacs 127.0.0.1:{upstream}\n"
    )
    with running([command, "-f", configuration], folder, f"haproxy-{port}") as process:
        wait_until_listening(process, port)
        yield Contestant(port, process)


@contextmanager
def gateway(
    folder: Path, upstream: int, *, certificate: Path | None = None, most: int = 1000, log_level: str = "warning"
) -> Iterator[Contestant]:
    """`dicomgate serve` with the trivial authenticator; `most` associations."""
    tls = f'tls = {{ certificate = "{certificate}" }}' if certificate else "cleartext_passcodes = true"
    port = free_port()
    listener = f'[[listener]]\nname = "bench"\nbind = "127.0.0.1:{port}"\nidentity = "optional"\n{tls}\n'
    authenticator = '[[authenticator]]\nuse = "bench-trivial"\n'
    with serving(folder, port, upstream, listener + authenticator, most, log_level) as process:
        yield Contestant(port, process)


@contextmanager
def serving(
    folder: Path, port: int, upstream: int, tables: str, most: int = 1000, log_level: str = "warning"
) -> Iterator[Running]:
    """`dicomgate serve` with these listeners and authenticators, listening on that port."""
    distribution = folder / "dicomgate_bench-1.dist-info"
    distribution.mkdir(exist_ok=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: dicomgate-bench\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(
        "[dicomgate.authenticators]\nbench-trivial = bench.authenticators:Trivial\n"
    )
    configuration = folder / f"{GATE}-{port}.toml"
    configuration.write_text(
        f'[gateway]\naudit = "audit-{port}.jsonl"\nmax_associations = {most}\n'
        f"max_associations_per_source = {most}\nmax_unauthenticated_per_source = {most}\n"
        f'max_unauthenticated = {most}\ndrain_timeout = "1s"\n{tables}'
        f'[[upstream]]\nname = "pacs"\naddress = "127.0.0.1:{upstream}"\ncalled_ae_titles = ["*"]\n'
    )
    run = "from dicomgate.cli import main; main()"
    command = [PYTHON, "-c", run, "serve", "--config", str(configuration), "--log-level", log_level]
    path = {"PYTHONPATH": f"{folder}:{ROOT}"}
    with running(command, folder, f"{GATE}-{port}", environment=path) as process:
        wait_until_listening(process, port)
        yield process


@contextmanager
def pynetdicom(folder: Path, kind: str, upstream: int = 0) -> Iterator[Contestant]:
    """Run pynetdicom as ACCEPTOR or STORAGE_ACCEPTOR with an EVT_USER_ID handler, or as FORWARDER of C-STORE."""
    port = free_port()
    command = [PYTHON, "-m", "bench.pynetdicom_peer", kind, str(port), str(upstream)]
    with running(command, folder, f"pynetdicom-{port}") as process:
        wait_until_listening(process, port)
        yield Contestant(port, process)


@contextmanager
def relays(
    folder: Path, upstream: int, *, direct: int | None = None, certificate: Path | None = None
) -> Iterator[dict[str, Contestant]]:
    """The contestants that relay, and a direct connection; `certificate` gives the client's side TLS.

    `direct` is the port of the direct connection where that is not the relays' upstream. HAProxy is not among them
    where it is not installed.
    """
    with ExitStack() as stack:
        found = {DIRECT: Contestant(direct or upstream)}
        if haproxy_command():
            for name, buffer in ((HAPROXY, 0), (HAPROXY_256, 262_144)):
                found[name] = stack.enter_context(haproxy(folder, upstream, buffer=buffer, certificate=certificate))
        found[GATE] = stack.enter_context(gateway(folder, upstream, certificate=certificate))
        yield found


def left_out() -> tuple[str, ...]:
    """A note for each contestant that is not there."""
    return () if haproxy_command() else (NO_HAPROXY,)
