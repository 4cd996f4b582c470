"""What an operator can get wrong: the keys, and the file with the shared secret."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from plugins.radius.tests.freeradius import SECRET

from dicomgate import ConfigError, IdentityType
from dicomgate_radius import Radius
from dicomgate_radius.secret_file import read_secret

MakeRadius = Callable[..., Radius]


@pytest.mark.parametrize("server", ["radius", "radius.example:1645", "10.0.0.7", "[::1]", "[2001:db8::1]:1812"])
def test_servers(radius: MakeRadius, server: str) -> None:
    assert radius(server).servers == [server]


@pytest.mark.parametrize(
    "server",
    [
        "",
        "::1",
        "radius:",
        "radius:0",
        "radius:65536",
        "radius:x",
        "radius://radius",
        "user@radius",
        "a b",
        "a..b",
        "x\n",
    ],
)
def test_servers_that_are_none(radius: MakeRadius, server: str) -> None:
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
    right = {"servers": ["a", "a:1645"], "secret_file": secret_file, "nas_identifier": "é" * 126}
    assert Radius(**right).handles == {IdentityType.USERNAME_AND_PASSCODE}
    with pytest.raises(ConfigError, match=message):
        Radius(**{**right, **options})


def test_the_defaults(secret_file: Path) -> None:
    made = Radius(servers=["radius"], secret_file=secret_file)
    assert made._identifier == socket.gethostname()
    (one,) = made._servers._all
    assert (one.server.name, one.server._port) == ("radius:1812", 1812)


def test_shares_that_are_too_short_are_told(radius: MakeRadius, caplog: pytest.LogCaptureFixture) -> None:
    radius("a", "b", seconds=2.1)
    radius("a", seconds=0.5)  # asked for: there is nothing else to ask
    assert caplog.text == ""
    radius("a", "b", seconds=1.8)
    assert "each of 2 RADIUS servers has 0.9 s" in caplog.text


@pytest.mark.parametrize("content", [SECRET, SECRET + b"\n", SECRET + b"\r\n"])
def test_the_secret(secret_file: Path, content: bytes) -> None:
    secret_file.write_bytes(content)
    assert read_secret(secret_file) == SECRET
    secret_file.write_bytes(b" \xff ")
    assert read_secret(secret_file) == b" \xff "


@pytest.mark.parametrize("content", [b"", b"\n", SECRET + b"\n\n", b"a\0b", b"a\tb", b"x" * 1025])
def test_a_secret_that_is_none(secret_file: Path, content: bytes) -> None:
    secret_file.write_bytes(b"x" * 1024 + b"\r\n")
    assert len(read_secret(secret_file)) == 1024
    secret_file.write_bytes(content)
    with pytest.raises(ConfigError, match="one line of 1 to 1024 bytes") as refused:
        read_secret(secret_file)
    assert SECRET.decode() not in str(refused.value)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o606, 0o644])
def test_a_secret_that_is_open_to_everybody(secret_file: Path, mode: int) -> None:
    secret_file.chmod(0o640)
    assert read_secret(secret_file) == SECRET
    secret_file.chmod(mode)
    with pytest.raises(ConfigError, match=f"{secret_file}: everybody may read or write this file"):
        read_secret(secret_file)


def test_a_secret_that_everybody_may_replace(secret_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(secret_file)
    assert read_secret(link) == SECRET
    for folder in (tmp_path, link.parent):
        folder.chmod(0o777)
        with pytest.raises(ConfigError, match=f"everybody may write the folder {folder}"):
            read_secret(link)
        folder.chmod(0o1777)
        assert read_secret(link) == SECRET


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match=str(path)):
            read_secret(path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_secret(tmp_path / "fifo")


def test_a_short_secret_is_told(radius: MakeRadius, secret_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret_file.write_bytes(b"sixteen octets.!")
    radius("a")
    assert caplog.text == ""
    secret_file.write_bytes(b"fifteen octets!")
    radius("a")
    assert f"{secret_file}: shorter than 16 bytes" in caplog.text
    assert "fifteen" not in caplog.text
