"""What an operator can get wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dicomgate import ConfigError
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_certificate import Certificate, Device

RIGHT: dict[str, Any] = {
    "certificates": {"dns:ct-1.hospital.example": Device(user="ct-1", groups=["ct"])},
    "user_from": "common-name",
    "groups": ["modalities"],
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"certificates": {}, "user_from": None, "groups": []}, "every login would be refused"),
        ({"user_from": None}, "user_from, which is not set"),
        ({"groups": [""]}, "must be printable text"),
        ({"certificates": {"dns:a": Device(user="")}}, "must be printable text"),
        ({"certificates": {"dns:a": Device(user="a\nb")}}, "must be printable text"),
        ({"certificates": {"dns:a": Device(user="a", groups=["\t"])}}, "must be printable text"),
        ({"certificates": {"dns:*": Device(user="a")}}, "certificates: 'dns:*': write a DNS name in full"),
        ({"certificates": {"ct-1": Device(user="a")}}, "certificates: 'ct-1': must begin with one of"),
        ({"certificates": {"dns:a": Device(user="a"), "dns:A": Device(user="a")}}, "'dns:A' is there twice"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    assert Certificate(**RIGHT).handles == {None}
    with pytest.raises(ConfigError, match=re.escape(message)):
        Certificate(**{**RIGHT, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"certificates": {"dns:a": {"usr": "a"}}}, "certificates.dns:a.usr: "),
        ({"certificates": {"dns:a": {"groups": ["a"]}}}, "certificates.dns:a.user: is missing"),
        ({"certificates": {"dns:a": "a"}}, "certificates.dns:a: "),
        ({"user_from": "ip"}, "user_from: "),
        ({"unknown_certificate": "accept"}, "unknown_certificate: "),
        ({"user_form": "dns"}, "did you mean 'user_from'?"),
    ],
)
def test_the_table_is_read_by_the_gateway(gateway: StartGateway, options: dict[str, Any], message: str) -> None:
    tables = configuration((HOST, 4242))
    right = {"use": "certificate", "certificates": {"dns:a": {"user": "a", "groups": ["b"]}}, "user_from": "uri"}
    gateway({**tables, "authenticator": [right]})
    with pytest.raises(ConfigError, match=re.escape(message)):
        gateway({**tables, "authenticator": [{**right, **options}]})
