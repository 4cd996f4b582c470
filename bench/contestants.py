"""The contestants as processes in front of one server: HAProxy, nginx, dicomgate, pynetdicom.

dicomgate is its real command line with a real entry point, found in a folder on the path; it writes its audit to a
file, and its log from warnings on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from dicomgate.testing.gateway import as_toml

from .processes import PYTHON, ROOT, BenchError, Running, free_port, running, wait_until_listening
from .results import GATE

DIRECT = "direct"
HAPROXY, HAPROXY_256 = "HAProxy", "HAProxy 256 KiB"
ACCEPTOR, STORAGE_ACCEPTOR = "pynetdicom acceptor", "pynetdicom acceptor with storage"
FORWARDER = "pynetdicom forwarder"
NGINX, NGINX_256 = "nginx", "nginx 256 KiB"
NO_HAPROXY = "HAProxy is not installed (apt-get install haproxy): it was left out"
NO_NGINX = "nginx's module stream is not installed (apt-get install libnginx-mod-stream): it was left out"
_ADMINISTRATORS = "/usr/sbin:/usr/local/sbin"  # Debian puts servers where an ordinary user's path does not lead
_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


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
    """Where HAProxy is."""
    return shutil.which("haproxy") or shutil.which("haproxy", path=_ADMINISTRATORS)


def nginx_command() -> str | None:
    """Where nginx is; None if it has not its module for TCP."""
    found = shutil.which("nginx") or shutil.which("nginx", path=_ADMINISTRATORS)
    return found if _STREAM.exists() else None


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
def nginx(folder: Path, upstream: int, *, buffer: int = 0, certificate: Path | None = None) -> Iterator[Contestant]:
    """Run nginx as a proxy of TCP; `buffer` in bytes, 0 for its default of 16 KiB."""
    command = nginx_command()
    if command is None:
        raise BenchError(NO_NGINX)
    port = free_port()
    configuration, own = folder / f"nginx-{port}.conf", folder / f"nginx-{port}"
    buffers = f"proxy_buffer_size {buffer};" if buffer else ""
    tls, ssl = "", ""
    if certificate:  # the same protocol versions as dicomgate's listener
        tls, ssl = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};", " ssl"
        tls += " ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off;"
    configuration.write_text(
        f"load_module {_STREAM}; daemon off; worker_processes auto; pid {own}.pid; error_log stderr warn;\n"
        "events { worker_connections 4096; }\n"
        f"stream {{ server {{ listen 127.0.0.1:{port}{ssl} backlog=4096; proxy_pass 127.0.0.1:{upstream};\n"
        f"proxy_connect_timeout 5s; proxy_timeout 1h; {buffers} {tls} }} }}\n"
    )
    with running([command, "-e", "stderr", "-c", configuration], folder, f"nginx-{port}") as process:
        wait_until_listening(process, port)
        yield Contestant(port, process)


@contextmanager
def gateway(
    folder: Path,
    upstream: int,
    *,
    certificate: Path | None = None,
    most: int = 1000,
    log_level: str = "warning",
    allow: Sequence[str] = (),
) -> Iterator[Contestant]:
    """`dicomgate serve` with the trivial authenticator; `most` associations; `allow`: with a rule that grants this."""
    tls = f'tls = {{ certificate = "{certificate}" }}' if certificate else "cleartext_passcodes = true"
    port = free_port()
    listener = f'[[listener]]\nname = "bench"\nbind = "127.0.0.1:{port}"\nidentity = "optional"\n{tls}\n'
    rules = [{"name": "bench", "allow": allow}] if allow else []
    tables = as_toml({"authenticator": [{"use": "bench-trivial"}], "rule": rules})
    with serving(folder, port, upstream, listener + tables, most, log_level) as process:
        yield Contestant(port, process)


@contextmanager
def asking(folder: Path, upstream: int, authenticator: Mapping[str, Any]) -> Iterator[Contestant]:
    """`dicomgate serve` with this authenticator and a state of its own, which is in the folder."""
    port = free_port()
    listener = {"name": "bench", "bind": f"127.0.0.1:{port}", "cleartext_passcodes": True}
    with serving(
        folder, port, upstream, as_toml({"listener": [listener], "authenticator": [authenticator]})
    ) as process:
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
def proxies(folder: Path, upstream: int) -> Iterator[dict[str, Contestant]]:
    """HAProxy and nginx as they are without options; neither where it is not installed."""
    with ExitStack() as stack:
        found = {}
        if haproxy_command():
            found[HAPROXY] = stack.enter_context(haproxy(folder, upstream))
        if nginx_command():
            found[NGINX] = stack.enter_context(nginx(folder, upstream))
        yield found


@contextmanager
def relays(
    folder: Path, upstream: int, *, direct: int | None = None, certificate: Path | None = None
) -> Iterator[dict[str, Contestant]]:
    """The contestants that relay, and a direct connection; `certificate` gives the client's side TLS.

    `direct` is the port of the direct connection where that is not the relays' upstream. HAProxy and nginx are not
    among them where they are not installed.
    """
    with ExitStack() as stack:
        found = {DIRECT: Contestant(direct or upstream)}
        if haproxy_command():
            for name, buffer in ((HAPROXY, 0), (HAPROXY_256, 262_144)):
                found[name] = stack.enter_context(haproxy(folder, upstream, buffer=buffer, certificate=certificate))
        if nginx_command():
            found[NGINX_256] = stack.enter_context(nginx(folder, upstream, buffer=262_144, certificate=certificate))
        found[GATE] = stack.enter_context(gateway(folder, upstream, certificate=certificate))
        yield found


def left_out(*, nginx: bool = True) -> tuple[str, ...]:
    """A note for HAProxy and, where it is a contestant, for nginx if they are not installed."""
    no_nginx = nginx and nginx_command() is None
    return (NO_HAPROXY,) * (haproxy_command() is None) + (NO_NGINX,) * no_nginx
