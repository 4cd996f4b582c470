"""TLS for clients that speak none: HAProxy takes their connections and shows a client certificate on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomgate.testing.peers.certificates import Leaf
from dicomgate.testing.peers.loopback import HOST, Address, free_port
from dicomgate.testing.peers.process import Service, require


@contextmanager
def tls_tunnel(folder: Path, to: Address, ca: Path, shown: Leaf) -> Iterator[Address]:
    """A plain port, until the block ends, that leads to a port in TLS. The server's certificate is verified."""
    program = require("haproxy", "haproxy")
    port = free_port()
    both = folder / "shown.pem"
    both.touch(mode=0o600)
    both.write_text(shown.certificate.read_text() + shown.key.read_text())
    (folder / "haproxy.cfg").write_text(
        f"""
        defaults
            mode tcp
            timeout connect 20s
            timeout client 60s
            timeout server 60s
        listen tunnel
            bind {HOST}:{port}
            server gate {to[0]}:{to[1]} ssl crt {both} ca-file {ca} verify required
"""
    )
    with Service([program, "-q", "-db", "-f", folder / "haproxy.cfg"], log=folder / "haproxy.log", ports=[port]):
        yield HOST, port
