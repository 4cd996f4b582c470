"""What an operator can get wrong: the keys, and the file with the shared secret."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import ConfigError, IdentityType
from dicomgate_radius import Radius
from plugins.radius.tests.conftest import MakeRadius


@pytest.mark.parametrize("server", ["", "radius:0", "radius://radius"])
def test_servers_that_are_none(radius: MakeRadius, server: str) -> None:
    right = ["radius", "radius.example:1645", "10.0.0.7", "[::1]", "[2001:db8::1]:1812"]
    assert radius(*right).servers == right
    with pytest.raises(ConfigError, match="servers: "):
        radius(server)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempt_timeout": timedelta(0)}, "attempt_timeout and retry_after"),
        ({"attempt_timeout": timedelta(minutes=2)}, "attempt_timeout and retry_after"),
        ({"retry_after": timedelta(0)}, "attempt_timeout and retry_after"),
        ({"nas_identifier": ""}, "nas_identifier"),
        ({"nas_identifier": "é" * 127}, "nas_identifier"),
        ({"nas_identifier": "a\nb"}, "nas_identifier"),
        ({"servers": []}, "at least one"),
        ({"servers": ["a", "a:1812"]}, "none of them twice"),
    ],
)
def test_options(secret_file: Path, options: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"servers": ["a", "a:1645"], "secret_file": secret_file, "nas_identifier": "é" * 126}
    assert Radius(**right).handles == {IdentityType.USERNAME_AND_PASSCODE}
    with pytest.raises(ConfigError, match=message):
        Radius(**{**right, **options})


def test_the_defaults(secret_file: Path) -> None:
    made = Radius(servers=["radius"], secret_file=secret_file)
    assert made._identifier == socket.gethostname()
    assert [(name, server._host.port) for name, server in made._servers.items()] == [("radius:1812", 1812)]


def test_shares_that_are_too_short_are_told(radius: MakeRadius, caplog: pytest.LogCaptureFixture) -> None:
    radius("a", "b", seconds=2.1)
    radius("a", seconds=0.5)  # asked for: there is nothing else to ask
    assert caplog.text == ""
    radius("a", "b", seconds=1.8)
    assert "each of 2 RADIUS servers has 0.9 s" in caplog.text


def test_a_short_secret_is_told(radius: MakeRadius, secret_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret_file.write_bytes(b"sixteen octets.!")
    radius("a")
    assert caplog.text == ""
    secret_file.write_bytes(b"fifteen octets!")
    radius("a")
    assert f"{secret_file}: shorter than 16 bytes" in caplog.text
    assert "fifteen" not in caplog.text
