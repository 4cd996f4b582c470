"""DCMTK's clients that cannot send an identity: echoscu, findscu, getscu and movescu; and HAProxy as their TLS."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..slices import ct_slice
from ..system_gateway import Gateway
from .certificates import Leaf
from .dcmtk import NO_DELAY, Finished, storescu
from .loopback import HOST, Address, free_port
from .orthanc import Orthanc
from .process import Service, require

CLIENTS = ("echoscu", "findscu", "getscu", "movescu")


def ask_for(
    study: str, client: str, address: Address, orthanc: Orthanc, folder: Path, calling: str, tls: Sequence[str | Path]
) -> Finished:
    """Let one of `CLIENTS` ask for a study of Orthanc's, and return how that ended.

    What it gets goes to `folder`: findscu the match, getscu and movescu the images, which Orthanc sends to movescu
    itself. `tls` are options for echoscu and findscu; the other two speak none.
    """
    options: list[str | Path] = ["-v", "-aet", calling, "-aec", "ORTHANC", *tls]
    if client != "echoscu":
        options += ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}", "-od", folder]
    if client == "findscu":
        options += ["-X"]
    if client == "movescu":
        port = free_port()
        orthanc.add_modality(calling, address[0], port)
        options += ["-aem", calling, "+P", str(port)]
    finished = subprocess.run(
        [require(client, "dcmtk"), *options, address[0], str(address[1])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **NO_DELAY},
        timeout=60,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout.decode(errors="replace"))


@contextmanager
def tls_tunnel(folder: Path, to: Address, ca: Path, shown: Leaf) -> Iterator[Address]:
    """Yield a plain port that leads, through HAProxy, to a port in TLS; the server's certificate is verified."""
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


def check_logins(
    client: str,
    ask: Callable[..., Finished],
    orthanc: Orthanc,
    running: Gateway,
    folder: Path,
    *cases: Sequence[object],
) -> tuple[dict[str, Any], list[str]]:
    """Let one of `CLIENTS` ask for a study through a gateway in front of Orthanc: all but the last case are refused.

    `ask(study, received, *case)` is one attempt, made with `ask_for`. Return the audit event of the last one, which is
    accepted, and the reasons of the refusals. Raises AssertionError if anybody else reaches Orthanc or gets an image.
    """
    image = ct_slice(folder / "ct.dcm")
    assert storescu(orthanc.address, folder / "ct.dcm", called="ORTHANC").status == 0
    orthanc.wait_for_connections(1)
    (received := folder / "received").mkdir()
    for case in cases[:-1]:
        refused = ask(image.StudyInstanceUID, received, *case)
        assert refused.status != 0
        assert "Association Rejected" in refused.output
    assert list(received.iterdir()) == []
    let_in = ask(image.StudyInstanceUID, received, *cases[-1])
    assert let_in.status == 0, let_in.output
    assert len(list(received.iterdir())) == (client != "echoscu")
    [accepted] = running.wait_for("Decided", outcome="accept")
    running.wait_for("Closed", len(cases))
    # Orthanc has seen the image and the client that is let in, and no other.
    assert orthanc.connections() == 2
    return accepted, [one["reason"] for one in running.told("Refused")]
