"""Debian's HAProxy: in front of gateways, and behind one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .loopback import wait_until
from .process import Service, require

_ALWAYS = """\
global
    log stdout format raw local0

defaults
    mode tcp
    log global
    timeout connect 5s
    timeout client 1m
    timeout server 1m

"""


class HAProxy(Service):
    """A HAProxy in the foreground with these sections, which listens on these ports; its log has one line a connection.

    `start` needs nothing behind it to run.
    """

    def __init__(self, folder: Path, sections: str, ports: Sequence[int]) -> None:
        file = folder / "haproxy.cfg"
        file.write_text(_ALWAYS + sections)
        command: list[str | Path] = [require("haproxy", "haproxy"), "-db", "-f", file]
        super().__init__(command, log=folder / "haproxy.log", ports=ports)

    def said(self) -> str:
        """What it has logged so far."""
        return self.log.read_text()

    def wait_for(self, words: str) -> None:
        """Return once it has logged these words."""
        wait_until(lambda: words in self.said(), f"HAProxy's {words!r}")
