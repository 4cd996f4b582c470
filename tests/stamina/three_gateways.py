"""Three gateways as they are run, behind one HAProxy, with one Redis, one rsyslog and a pool of two storescp."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.messages import PASSCODE
from dicomgate.kit.addresses import show_address
from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.peers.certificates import Certificates, Leaf
from dicomgate.testing.peers.dcmtk import NO_DELAY
from dicomgate.testing.peers.haproxy import HAProxy
from dicomgate.testing.peers.loopback import HOST, Address, free_port, wait_until
from dicomgate.testing.peers.process import Service, require
from dicomgate.testing.peers.redis import RedisServer
from dicomgate.testing.peers.rsyslog import Rsyslog
from dicomgate_passcode.hashing import make_hash

BALANCER = "127.0.0.9"  # from here HAProxy connects
DEVICES = 50  # accounts: device-0, ...
FREE = 3  # guesses for one account that are verified
ISSUER, SECRET = "https://sso.example/", b"stamina-secret-of-at-least-32-bytes"
# As deploy/haproxy/dicomgate.cfg, but quicker to notice; clients come without TLS, and HAProxy goes on with it.
_SECTIONS = """\
frontend dicom
    bind {front}
    timeout client 35m
    unique-id-format %[uuid()]
    default_backend gateways

backend gateways
    balance leastconn
    timeout connect 1s
    timeout server 35m
    retries 2
    option redispatch 1
    option httpchk GET /ready
    http-check expect status 200
    default-server send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 300ms fall 2 rise 2
    default-server ssl verify required ca-file {ca} no-check-ssl
"""


class Gate(Service):
    """One gateway, `dicomgate serve`, at the same ports each time that it is started."""

    def __init__(self, folder: Path, name: str, tables: dict[str, Any], leaf: Leaf) -> None:
        folder.mkdir()
        self.name, self.address, self.admin = name, (HOST, free_port()), (HOST, free_port())
        self._audit = folder / "audit.jsonl"
        listener = {"name": "clinical", "bind": show_address(*self.address), "cleartext_passcodes": True}
        listener |= {"authenticators": ["staff", "sso"], "proxy_protocol": {"from": [BALANCER]}}
        listener |= {"tls": {"certificate": leaf.certificate, "key": leaf.key}}
        own = {"node": name, "audit": "audit.jsonl", "audit_required": True}
        more = {"drain_delay": "2s", "drain_timeout": "20s", "max_associations_per_source": 500}
        tables = {**tables, "gateway": own | more, "listener": [listener]}
        tables["admin"] = {"bind": show_address(*self.admin)}
        (folder / "dicomgate.toml").write_text(as_toml(tables), "utf-8")
        command: list[str | Path] = [*DICOMGATE, "serve", "--config", folder / "dicomgate.toml"]
        super().__init__(command, log=folder / "gateway.log", ports=[self.address[1], self.admin[1]])

    def records(self) -> Iterator[dict[str, Any]]:
        """What is in its audit; a line that it was killed in is left out."""
        for line in self._audit.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


@dataclass(frozen=True)
class House:
    """All of them, running."""

    front: Address
    gates: list[Gate]
    pacs: list[Service]
    redis: RedisServer
    rsyslog: Rsyslog
    haproxy: HAProxy

    def up(self, gate: Gate, since: int = 0) -> None:
        """Return once HAProxy gives the gateway clients (again): `since` is how often it has said so before."""
        wait_until(lambda: self.said_up(gate) > since, f"HAProxy finding {gate.name}")

    def said_up(self, gate: Gate) -> int:
        """How often HAProxy has found this gateway again."""
        return self.haproxy.said().count(f"Server gateways/{gate.name} is UP")


@contextmanager
def house(folder: Path, certificates: Certificates) -> Iterator[House]:
    """Start them; end them."""
    with ExitStack() as stack:
        ports = [free_port() for _ in range(2)]
        pacs = [
            Service(
                [require("storescp", "dcmtk"), "--fork", "--quiet", "--ignore", "--bit-preserving", str(port)],
                log=folder / f"pacs-{port}.log",
                ports=[port],
                environment=NO_DELAY,
            )
            for port in ports
        ]
        for name in ("redis", "rsyslog", "haproxy"):
            (folder / name).mkdir()
        # What Redis has said it knows, it knows after it was killed.
        redis = RedisServer(folder / "redis", {"appendonly": "yes", "appendfsync": "always"})
        rsyslog = Rsyslog(folder / "rsyslog", certificates)
        for service in (*pacs, redis, rsyslog):
            stack.enter_context(service)
        tables = _tables(folder, ports, redis, rsyslog, certificates)
        gates = [Gate(folder / name, name, tables, certificates.server) for name in ("gate-1", "gate-2", "gate-3")]
        for gate in gates:
            stack.enter_context(gate)
        front = (HOST, free_port())
        sections = _SECTIONS.format(front=show_address(*front), ca=certificates.ca)
        for gate in gates:
            where = f"{show_address(*gate.address)} port {gate.admin[1]}"
            sections += f"    server {gate.name} {where} source {BALANCER}\n"
        with HAProxy(folder / "haproxy", sections, [front[1]]) as haproxy:
            yield House(front, gates, pacs, redis, rsyslog, haproxy)


def _tables(
    folder: Path, ports: list[int], redis: RedisServer, rsyslog: Rsyslog, certificates: Certificates
) -> dict[str, Any]:
    users, secret = folder / "users.htpasswd", folder / "secret"
    for file in (users, secret):
        file.touch(mode=0o600)
    hashed, names = make_hash(PASSCODE), [f"device-{at}" for at in range(DEVICES)]
    names += [f"mallory-{at}" for at in range(200)]
    users.write_text("".join(f"{name}:{hashed}\n" for name in names))
    secret.write_bytes(SECRET)
    tls = {"ca": certificates.ca, "certificate": certificates.client.certificate, "key": certificates.client.key}
    sso = {"use": "jwt", "name": "sso", "issuer": ISSUER, "audience": "dicomgate", "secret_file": secret}
    return {
        "state": {"url": redis.url},
        "throttle": {"free": FREE, "first_wait": "1h", "source_free": 100_000, "on_unreachable": "refuse"},
        "upstream": [
            {
                "name": "pacs",
                "addresses": [show_address(HOST, port) for port in ports],
                "balance": "least",
                "check": "echo",
                "check_interval": "500ms",
                "called_ae_titles": ["*"],
            }
        ],
        "audit": [
            {
                "kind": "atna",
                "to": f"syslog+tls://{HOST}:{rsyslog.port}",
                "tls": tls,
                "spool": "spool",
                "required": True,
            }
        ],
        "authenticator": [{"use": "passcode", "name": "staff", "file": users}, {**sso, "single_use": True}],
    }
