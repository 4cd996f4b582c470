"""Whom the contexts of a listener and of an upstream trust; which files they take is in tests/run/test_assembly.py."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from dicomgate.net.tls_context import client_context, server_context

NAME = "gate.test"


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Raises ssl.SSLError if one of them does not trust the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=NAME),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()


@pytest.mark.parametrize("trusted", ["root", "issuing authority", "another"])
def test_the_authority_that_issues_the_certificates_is_enough(tmp_path: Path, trusted: str) -> None:
    root = trustme.CA()
    issuing = root.create_child_ca()
    leaf = issuing.issue_cert(NAME)
    chain, key, ca = tmp_path / "chain.pem", tmp_path / "gate.key", tmp_path / "ca.pem"
    chain.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
    key.touch(mode=0o600)
    key.write_bytes(leaf.private_key_pem.bytes())
    ca.write_bytes({"root": root, "issuing authority": issuing}.get(trusted, trustme.CA()).cert_pem.bytes())
    server, client = server_context(chain, key, ca, True), client_context(ca, False, chain, key)
    if trusted == "another":
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server, client)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server, client)
    else:
        shake_hands(server, client)
