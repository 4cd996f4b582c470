"""dcmjs-dimse on node as a client: C-ECHO and C-STORE with an identity, by tests/clients/echo_store.cjs."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..pages import ROOT
from .certificates import Certificates, Leaf
from .loopback import Address
from .process import require

_CLIENTS = ROOT / "tests" / "clients"


@dataclass(frozen=True)
class Saw:
    """What the client saw of its association; status values are DIMSE's, 0 is success."""

    accepted: bool
    server_response: str | None  # sub-item 59H: None when there was none, else what it held
    rejected: dict[str, int] | None  # result, source, reason
    aborted: str | None
    released: bool
    echo: int | None
    store: list[int]
    network_error: str | None


@dataclass(frozen=True)
class UserIdentity:
    """The fields of sub-item 58H; dcmjs-dimse writes the strings in Latin-1."""

    primary: str
    secondary: str = ""
    type: int = 2
    positive_response_requested: bool = True


def dcmjs(
    address: Address,
    *,
    identity: UserIdentity | None = None,
    files: Sequence[Path] = (),
    called: str = "ANY-SCP",
    tls: Certificates | None = None,
    leaf: Leaf | None = None,
) -> Saw:
    """Associate, send C-ECHO and the files, release; `tls` trusts its `ca` and shows `leaf`, if any.

    Skips the test when node or the package is not installed. Raises subprocess.CalledProcessError when node fails.
    """
    node = require("node", "nodejs npm")
    if not (_CLIENTS / "node_modules" / "dcmjs-dimse").is_dir():
        pytest.skip("dcmjs-dimse is not installed: npm ci --prefix tests/clients --ignore-scripts")
    task = {
        "host": address[0],
        "port": address[1],
        "calling": "DCMJS",
        "called": called,
        "files": [str(file) for file in files],
        "identity": identity
        and {
            "type": identity.type,
            "positiveResponseRequested": identity.positive_response_requested,
            "primaryField": identity.primary,
            "secondaryField": identity.secondary,
        },
        "tls": tls
        and {
            "ca": str(tls.ca),
            "certificate": leaf and str(leaf.certificate),
            "key": leaf and str(leaf.key),
        },
    }
    run = subprocess.run(
        [node, _CLIENTS / "echo_store.cjs"],
        input=json.dumps(task).encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return Saw(**json.loads(run.stdout))
