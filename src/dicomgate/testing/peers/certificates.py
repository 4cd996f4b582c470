"""Two certification authorities and what they issued, made anew for each test run and never stored."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from .loopback import HOST


@dataclass(frozen=True)
class Leaf:
    """A certificate and its private key, both PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """The authority that all peers trust, and another that none trusts."""

    ca: Path
    server: Leaf  # for 127.0.0.1 and localhost
    client: Leaf
    other_ca: Path
    stranger: Leaf  # a client certificate of the other authority
    wrong: Mapping[str, Leaf]
    """Certificates that no client should accept from a server on 127.0.0.1, by what is wrong with them."""

    def server_context(self, *, client_certificate: bool = False) -> ssl.SSLContext:
        """Return the context of a TLS server; `client_certificate` requires one issued by `ca`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(self.server.certificate, self.server.key)
        context.verify_mode = ssl.CERT_REQUIRED if client_certificate else ssl.CERT_NONE
        return context

    def client_context(self, leaf: Leaf | None = None) -> ssl.SSLContext:
        """Return the context of a TLS client that trusts `ca` and shows `leaf`, if any."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca)
        if leaf is not None:
            context.load_cert_chain(leaf.certificate, leaf.key)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Write the PEM files of two authorities and their leaves into the folder, private keys readable by their owner."""
    ca, other_ca = trustme.CA(), trustme.CA()

    def issue(authority: trustme.CA, name: str, *identities: str) -> Leaf:
        return issue_leaf(authority, folder, name, *identities)

    ca.cert_pem.write_to_path(folder / "ca.pem")
    other_ca.cert_pem.write_to_path(folder / "other-ca.pem")
    return Certificates(
        ca=folder / "ca.pem",
        server=issue(ca, "server", "127.0.0.1", "localhost"),
        client=issue(ca, "client", "client.test"),
        other_ca=folder / "other-ca.pem",
        stranger=issue(other_ca, "stranger", "stranger.test"),
        wrong={
            "other authority": issue(other_ca, "of-other-ca", HOST),
            "other name": issue(ca, "other-name", "ldap.test"),
            # The right name, but where no verifier looks for it any more (RFC 9525 2).
            "name in the subject": issue_leaf(ca, folder, "name-in-subject", "ldap.test", subject=HOST),
            "expired": issue_leaf(ca, folder, "expired", HOST, until=datetime.now(UTC) - timedelta(days=1)),
        },
    )


def issue_leaf(
    authority: trustme.CA, folder: Path, name: str, *identities: str, subject: str = "", until: datetime | None = None
) -> Leaf:
    """Write a certificate for these identities and its key into the folder, as NAME.pem and NAME.key.

    `subject` is its common name (`name` if it is empty), `until` the end of its validity.
    """
    issued = authority.issue_cert(*identities, common_name=subject or name, not_after=until)
    leaf = Leaf(folder / f"{name}.pem", folder / f"{name}.key")
    issued.cert_chain_pems[0].write_to_path(leaf.certificate)
    leaf.key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(leaf.key)
    return leaf
