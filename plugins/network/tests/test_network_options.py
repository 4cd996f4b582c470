"""What an operator can get wrong."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from dicomgate import ConfigError
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_network import Device, Network

RIGHT: dict[str, Any] = {"networks": ["10.1.2.0/24", "10.1.2.7", "fd00:1::/64"], "user": "ct-1", "groups": ["ct"]}


def made(title: str = "CT1", **device: Any) -> Network:
    return Network(devices={title: Device(**{**RIGHT, **device})})


@pytest.mark.parametrize("title", ["C", "CT 1", "SIXTEEN_LETTERS_", "ct-1.a"])
def test_titles(title: str) -> None:
    assert made(title).handles == {None}


@pytest.mark.parametrize("title", ["", " CT1", "CT1 ", "SEVENTEEN_LETTERS", "CT\\1", "CT\n", "CTé"])
def test_titles_that_are_none(title: str) -> None:
    with pytest.raises(ConfigError, match="is not an AE title"):
        made(title)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"networks": []}, "write either networks or anywhere = true"),
        ({"anywhere": True}, "write either networks or anywhere = true"),
        ({"networks": ["ct-1.hospital.example"]}, "'ct-1.hospital.example' is not a network: write it as 10.1.2.0/24"),
        ({"networks": ["10.1.2.7/24"]}, "for the network write 10.1.2.0/24, for the address 10.1.2.7"),
        ({"networks": ["10.1.2.0/33"]}, "networks: "),
        ({"networks": [""]}, "networks: "),
        ({"networks": ["::ffff:10.1.2.0/120"]}, "is an IPv4 network"),
        ({"networks": ["fe80::/64"]}, "is link-local"),
        ({"networks": ["fe80::1%eth0"]}, "has a zone"),
        ({"networks": ["10.1.2.0/24", "0.0.0.0/0"]}, "these are all addresses"),
        ({"networks": ["::/0"]}, "these are all addresses"),
        ({"networks": ["0.0.0.0/1", "128.0.0.0/1"]}, "these are all addresses"),
        ({"networks": ["8000::/1", "::/1"]}, "these are all addresses"),
        ({"user": ""}, "must be printable text"),
        ({"user": "a\nb"}, "must be printable text"),
        ({"groups": [""]}, "must be printable text"),
    ],
)
def test_devices(device: dict[str, Any], message: str) -> None:
    assert made().handles == {None}
    with pytest.raises(ConfigError, match=f"devices: 'CT1': .*{message}"):
        made(**device)


def test_there_are_no_wildcards() -> None:
    with pytest.raises(ConfigError, match="without wildcards"):
        made("MR_*")


def test_no_device_at_all() -> None:
    with pytest.raises(ConfigError, match="every login would be refused"):
        Network(devices={})


def test_anywhere_is_told(caplog: pytest.LogCaptureFixture) -> None:
    made()
    assert caplog.records == []
    made(networks=[], anywhere=True)
    [(_, level, message)] = caplog.record_tuples
    assert level == logging.WARNING
    assert message.startswith("device 'CT1' may come from anywhere")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"network": ["10.0.0.0/8"]}, "devices.CT1.network: "),
        (["10.0.0.0/8"], "devices.CT1: "),
        ({"networks": "10.0.0.0/8"}, "devices.CT1.networks: "),
        ({"anywhere": "perhaps"}, "devices.CT1.anywhere: "),
        ({"networks": ["10.0.0.0/0"]}, "devices: 'CT1': "),
    ],
)
def test_the_table_is_read_by_the_gateway(gateway: StartGateway, device: object, message: str) -> None:
    tables = configuration((HOST, 4242))
    for right in ({"networks": ["10.0.0.0/8"]}, {"anywhere": True, "user": "ct-1", "groups": ["ct"]}):
        gateway({**tables, "authenticator": [{"use": "network", "devices": {"CT1": right}}]})
    with pytest.raises(ConfigError, match=re.escape(message)):
        gateway({**tables, "authenticator": [{"use": "network", "devices": {"CT1": device}}]})
