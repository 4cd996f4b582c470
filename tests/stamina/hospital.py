"""A hospital around one gateway, everything of it real: who knows the users, what the clients are for, and the clock.

krb5kdc, slapd, and npm's oidc-provider; assertions as python3-saml signs them; two storescp as one PACS, and dcmqrscp
as the archive that is asked. The gateway has a clock of its own (clock.c); everybody else has that of the machine.
"""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.messages import PASSCODE
from dicomgate.kit.addresses import show_address
from dicomgate.testing.kdc import SERVICE, Kdc, run_kdc
from dicomgate.testing.peers.certificates import Certificates, issue_leaf
from dicomgate.testing.peers.dcmtk import NO_DELAY, run_dcmqrscp, storescu
from dicomgate.testing.peers.loopback import HOST, free_port
from dicomgate.testing.peers.oidc_provider import OidcProvider, run_provider
from dicomgate.testing.peers.process import Service, require
from dicomgate.testing.peers.slapd import Slapd, run_slapd
from dicomgate.testing.slices import SIDE, ct_slice
from dicomgate_passcode import Cost, make_hash
from plugins.saml.tests import mint
from plugins.saml.tests.described import metadata
from tests.stamina.process import GatewayProcess, tables_for

ARCHIVE, PACS = "ARCHIVE", "PACS"
"""Called AE titles."""
ARTIM = 3.0  # seconds
DEVICES = [f"device-{number}" for number in range(20)]
AUDIENCE = "https://gateway.hospital.example"
KERBEROS_SKEW, SAML_SKEW, JWT_LEEWAY = 300.0, 60.0, 30.0  # seconds; each is what the plugin has by default
_COST = Cost("argon2id", 1, memory_kib=1024, lanes=1)
"""Cheap: a username alone and each user of the directory cost a hash too, and hashes are not what this is about."""
_LIMITS = {f"max_{what}_per_source": 400 for what in ("associations", "unauthenticated")} | {"max_unauthenticated": 400}


class Clock:
    """What the gateway takes for the time."""

    def __init__(self, folder: Path) -> None:
        self._file, library = folder / "ahead", folder / "clock.so"
        self._file.write_bytes(bytes(8))
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def set(self, seconds: int) -> None:
        """Put it ahead of the machine's by so many seconds, or behind it."""
        with self._file.open("r+b") as file:  # never empty: the gateway has mapped it
            file.write(struct.pack("q", seconds))


@dataclass
class Hospital:
    """All of it, running. What rotates keys here also has them used from then on."""

    folder: Path
    gateway: GatewayProcess
    clock: Clock
    kdc: Kdc
    provider: OidcProvider
    slapd: Slapd
    pacs: list[Service]
    authority: trustme.CA
    signers: list[mint.Signer] = field(default_factory=list)
    """The keys of the identity provider: it signs with the first; the one before is still known."""
    tokens: list[str] = field(default_factory=list)
    """Tokens of the provider, the newest last."""
    users: dict[str, str] = field(default_factory=dict)
    """The users file: DEVICES, and somebody who changes."""
    _rotated: float = float("-inf")

    @property
    def slice(self) -> Path:
        """A CT slice of 512 KiB; the archive has it too."""
        return self.folder / "slice.dcm"

    def fetch_token(self) -> None:
        """A new token, as a modality fetches one from time to time.

        Not soon after a rotation: keys that were fetched just before it are not fetched again for 20 s (docs/jwt.md). A
        provider must not sign at once with a key that it publishes only now.
        """
        if time.monotonic() > self._rotated + 21:
            self.tokens.append(self.provider.token(AUDIENCE, lifetime=120))

    def rotate_token_keys(self) -> None:
        """Other keys of the OpenID provider, which publishes the old ones too."""
        self.provider.rotate(keep=True)
        self._rotated = time.monotonic()

    def renew_certificate(self) -> None:
        """Another certificate and key of the gateway, as certbot renews them; it has to be told."""
        issue_leaf(self.authority, self.folder, "gate", HOST)

    def renew_signer(self) -> None:
        """Another key of the identity provider; the metadata has it and the one before."""
        self.signers.insert(0, mint.signer(rsa.generate_private_key(65537, 2048)))
        _replace(self.folder / "idp.xml", metadata(*self.signers[:2]))

    def renew_keytab(self) -> None:
        """Another key of the service, in the keytab beside the old ones; then the user has a ticket for the new one."""
        self.kdc.keytab(SERVICE, norandkey=False)
        theirs = self.kdc.log_in("alice", cache=f"cache-{time.monotonic():.0f}")
        self.kdc.run("kvno", SERVICE, environment=theirs)
        os.environ["KRB5CCNAME"] = theirs["KRB5CCNAME"]

    def renew_users(self) -> None:
        """Somebody else is in the users file."""
        self.users["newcomer"] = make_hash(PASSCODE, _COST)
        lines = [f"{name}:{hashed}\n" for name, hashed in self.users.items()]
        _replace(self.gateway.users_file, "".join(lines).encode(), mode=0o600)


def _replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    mint.written(path.with_suffix(".new"), content, mode).replace(path)


@contextmanager
def hospital(folder: Path, certificates: Certificates) -> Iterator[Hospital]:
    """Start it; end it. The environment of this process is that of a user with Kerberos tickets meanwhile."""
    with ExitStack() as stack:
        logging.disable(logging.INFO)  # of this process: pynetdicom tells of every PDU
        stack.callback(logging.disable, logging.NOTSET)
        for name in ("kdc", "slapd", "archive"):
            (folder / name).mkdir()
        kdc = stack.enter_context(run_kdc(folder / "kdc", users=["alice"]))
        kdc.keytab(SERVICE)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("KRB5")]:
            patch.delenv(name)
        for name, value in kdc.log_in("alice").items():
            if name in ("KRB5_CONFIG", "KRB5CCNAME"):
                patch.setenv(name, value)
        provider = stack.enter_context(run_provider(folder))
        slapd = stack.enter_context(run_slapd(folder / "slapd", certificates))
        ports = [free_port() for _ in range(2)]
        program = require("storescp", "dcmtk")
        pacs = [
            Service(
                [program, "--fork", "--quiet", "--ignore", "--bit-preserving", str(port)],
                log=folder / f"pacs-{port}.log",
                ports=[port],
                environment=NO_DELAY,
            )
            for port in ports
        ]
        for one in pacs:
            stack.enter_context(one)
        archive = stack.enter_context(run_dcmqrscp(folder / "archive", [ARCHIVE], {}))
        clock = Clock(folder)
        tables = _tables(folder, ports, archive, slapd, provider)
        gateway = GatewayProcess(folder, tables, environment=clock.environment)
        house = Hospital(folder, gateway, clock, kdc, provider, slapd, pacs, trustme.CA())
        house.users |= dict.fromkeys(DEVICES, make_hash(PASSCODE, _COST))
        house.renew_users()
        house.renew_signer()
        house.renew_certificate()
        house.tokens.append(provider.token(AUDIENCE, lifetime=1))
        house.fetch_token()
        ct_slice(house.slice, rows=SIDE)
        assert storescu(archive, house.slice, called=ARCHIVE).status == 0
        with gateway:
            yield house


def _tables(folder: Path, ports: list[int], archive: Any, slapd: Slapd, provider: OidcProvider) -> dict[str, Any]:
    tables = tables_for(ports[0], settings={"artim": f"{ARTIM:g}s"} | _LIMITS)
    clinical, inspection = tables["listener"]
    asked = {"authenticators": ["staff", "directory", "realm", "sso", "tokens"]}
    tls = {"certificate": "gate.pem", "key": "gate.key"}
    clinical |= {**asked, "bind": f"{HOST}:{free_port()}"}
    secured = {"name": "secured", "bind": f"{HOST}:{free_port()}", "tls": tls, **asked}
    tables["listener"] = [clinical, inspection, secured]
    pool, nowhere = tables["upstream"]
    del pool["address"]
    pool |= {"addresses": [show_address(HOST, port) for port in ports], "balance": "least", "called_ae_titles": [PACS]}
    pool |= {"check": "echo", "check_interval": "500ms", "timeout": "4s"}
    tables["upstream"] = [
        pool, nowhere, {"name": "archive", "address": show_address(*archive), "called_ae_titles": [ARCHIVE]},
    ]  # fmt: skip
    staff, *others = tables["authenticator"]
    discovered = {"issuer": provider.issuer, "audience": AUDIENCE, "discovery": True, "ca": provider.ca}
    federated = {"issuer": mint.ISSUER, "entity_id": mint.ENTITY_ID, "metadata_file": "idp.xml"}
    tables["authenticator"] = [
        {**staff, "username_only": True, "unknown_user": "pass"},
        {"use": "ldap", "name": "directory", **slapd.keys(groups="none", deadline="5s"), "timeout": "20s"},
        {
            "use": "kerberos", "name": "realm", "keytab": folder / "kdc" / "gateway.keytab", "principal": SERVICE,
            "replay_cache": folder / "replays", "timeout": "20s",
        },
        {"use": "saml", "name": "sso", "timeout": "20s", **federated},
        {"use": "jwt", "name": "tokens", "timeout": "20s", "fetch_timeout": "5s", **discovered},
        *others,
    ]  # fmt: skip
    # Everybody here comes from one address, where guesses are made all day.
    tables["throttle"] = {"source_free": 1_000_000}
    tables["admin"] = {"bind": f"{HOST}:{free_port()}"}
    tables["state"] = {"path": "state.sqlite"}
    return tables
