"""Two certification authorities and what they issued, made anew for each test run and never stored."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


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
    """Write the PEM files of two authorities and three leaves into the folder, private keys readable by their owner."""
    ca, other_ca = trustme.CA(), trustme.CA()

    def issue(authority: trustme.CA, name: str, *identities: str) -> Leaf:
        issued = authority.issue_cert(*identities, common_name=name)
        leaf = Leaf(folder / f"{name}.pem", folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(leaf.certificate)
        leaf.key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(leaf.key)
        return leaf

    ca.cert_pem.write_to_path(folder / "ca.pem")
    other_ca.cert_pem.write_to_path(folder / "other-ca.pem")
    return Certificates(
        ca=folder / "ca.pem",
        server=issue(ca, "server", "127.0.0.1", "localhost"),
        client=issue(ca, "client", "client.test"),
        other_ca=folder / "other-ca.pem",
        stranger=issue(other_ca, "stranger", "stranger.test"),
    )
