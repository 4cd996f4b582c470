"""Two certification authorities, and certificates with something wrong, made anew for each test run."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from dicomgate.testing.peers.loopback import HOST


@dataclass(frozen=True)
class Leaf:
    """A certificate and its private key, both PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authorities:
    """The authority that the gateway trusts, another, and what they issued for directory servers."""

    ca: Path
    other_ca: Path
    good: Leaf
    of_other_ca: Leaf
    other_name: Leaf
    name_in_subject: Leaf  # the right name, but where no verifier looks for it any more (RFC 9525 2)
    expired: Leaf


def make_authorities(folder: Path) -> Authorities:
    """Write all of it into the folder."""
    ca, other_ca = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    other_ca.cert_pem.write_to_path(folder / "other-ca.pem")
    now = datetime.now(UTC).replace(tzinfo=None)

    def issue(
        file: str, authority: trustme.CA, name: str, subject: str = "server", until: datetime | None = None
    ) -> Leaf:
        issued = authority.issue_cert(name, common_name=subject, not_before=now - timedelta(days=9), not_after=until)
        leaf = Leaf(folder / f"{file}.pem", folder / f"{file}.key")
        leaf.key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(leaf.key)
        issued.cert_chain_pems[0].write_to_path(leaf.certificate)
        return leaf

    return Authorities(
        ca=folder / "ca.pem",
        other_ca=folder / "other-ca.pem",
        good=issue("good", ca, HOST),
        of_other_ca=issue("of-other-ca", other_ca, HOST),
        other_name=issue("other-name", ca, "ldap.test"),
        name_in_subject=issue("name-in-subject", ca, "ldap.test", subject=HOST),
        expired=issue("expired", ca, HOST, until=now - timedelta(days=1)),
    )
