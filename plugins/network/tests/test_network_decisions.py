"""Which device comes from where: each row that is let in stands beside one that is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dicomgate import Accept, Decision, Identity, Pass, Reject
from dicomgate.testing import attempt, passcode
from dicomgate_network import Device, Network

DEVICES = {
    "CT1": Device(networks=["10.1.2.0/24"], groups=["modalities"]),
    "MR 1": Device(networks=["10.1.2.7", "10.1.2.0/25", "2001:db8:1::/48"], user="mr-1"),
    "US1": Device(networks=["fe00::/8"]),
    "DEMO": Device(anywhere=True),
}


def decide(title: str, address: str, identity: Identity | None = None, **more: Any) -> Decision:
    asked = attempt(identity, calling_ae_title=title, address=address, **more)
    return asyncio.run(Network(devices=DEVICES).authenticate(asked))


@pytest.mark.parametrize(
    ("title", "address", "user", "network"),
    [
        ("CT1", "10.1.2.0", "CT1", "10.1.2.0/24"),
        ("CT1", "10.1.2.255", "CT1", "10.1.2.0/24"),
        ("CT1", "::ffff:10.1.2.3", "CT1", "10.1.2.0/24"),
        ("MR 1", "10.1.2.7", "mr-1", "10.1.2.7/32"),
        ("MR 1", "10.1.2.8", "mr-1", "10.1.2.0/25"),
        ("MR 1", "2001:db8:1:ffff::1", "mr-1", "2001:db8:1::/48"),
        ("US1", "fe80::1%eth0", "US1", "fe00::/8"),
        ("DEMO", "203.0.113.9", "DEMO", "anywhere"),
        ("DEMO", "2001:db8::9", "DEMO", "anywhere"),
    ],
)
def test_let_in(title: str, address: str, user: str, network: str) -> None:
    groups = frozenset(DEVICES[title].groups)
    assert decide(title, address) == Accept(user, groups, attributes={"network": network})


@pytest.mark.parametrize(
    ("title", "address"),
    [
        ("CT1", "10.1.3.0"),
        ("CT1", "10.1.1.255"),
        ("CT1", "::ffff:10.1.3.3"),
        ("CT1", "::10.1.2.3"),
        ("CT1", "2001:db8:1::1"),
        ("MR 1", "10.1.2.128"),
        ("MR 1", "2001:db8:2::1"),
        ("MR 1", "fe80::1%eth0"),
    ],
)
def test_from_elsewhere(title: str, address: str) -> None:
    decision = decide(title, address)
    assert isinstance(decision, Reject)
    assert decision.reason.startswith(f"device '{title}' may not come from ")


@pytest.mark.parametrize("title", ["CT2", "ct1", "CT", "CT11", "MR1", "MR  1", "*", ""])
def test_another_ae_title(title: str) -> None:
    assert decide(title, "10.1.2.7") == Reject(f"no device has the calling AE title {title!r}")


def test_who_brings_an_identity_is_not_judged() -> None:
    assert isinstance(decide("CT1", "10.1.2.7"), Accept)
    assert isinstance(decide("CT1", "10.1.2.7", identity=passcode("CT1", "guess")), Pass)


def test_what_is_called_does_not_count() -> None:
    assert isinstance(decide("CT1", "10.1.2.7", called_ae_title="CT9", listener="other"), Accept)
