"""A redis-server of our own: started, hung, ended and started again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .certificates import Certificates
from .loopback import HOST, free_port
from .process import Service, require


class RedisServer(Service):
    """A server on a port of 127.0.0.1 that keeps nothing on disk; `options` are those of its configuration.

    Each `start` is with nothing in it.
    """

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.options: Mapping[str, str] = options or {}
        self._folder = folder
        port = int(self._lines["port"]) or int(self._lines["tls-port"])
        command: list[str | Path] = [require("redis-server", "redis-server"), folder / "redis.conf"]
        super().__init__(command, log=folder / "redis.log", ports=[port])

    @property
    def _lines(self) -> dict[str, str]:
        return {"bind": HOST, "port": str(self.port), "save": '""', "dir": str(self._folder), **self.options}

    def start(self) -> None:
        """Start it with the `options` as they are now. Raises RuntimeError with its log."""
        text = "".join(f"{name} {value}\n" for name, value in self._lines.items())
        (self._folder / "redis.conf").write_text(text)
        super().start()

    @property
    def url(self) -> str:
        """Its address, without a password."""
        return f"redis://{HOST}:{self.port}/0"

    def command(self, *words: str) -> str:
        """What redis-cli says to this command. Raises subprocess.CalledProcessError where that is an error."""
        command = [require("redis-cli", "redis-tools"), "-e", "-h", HOST, "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout


class Sentinel(Service):
    """A Redis Sentinel that watches one master by the name `pacs`, alone; it declares it dead after half a second."""

    def __init__(self, folder: Path, master: RedisServer, options: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.options: Mapping[str, str] = options or {}
        self._file, self._folder, self._master = folder / "sentinel.conf", folder, master
        command: list[str | Path] = [require("redis-server", "redis-server"), self._file, "--sentinel"]
        super().__init__(command, log=folder / "sentinel.log", ports=[self.port])

    def start(self) -> None:
        """Start it with the `options` as they are now. Raises RuntimeError with its log."""
        lines = {"bind": HOST, "port": str(self.port), "dir": str(self._folder), **self.options}
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        text += f"sentinel monitor pacs {HOST} {self._master.port} 1\n"
        text += "sentinel down-after-milliseconds pacs 500\nsentinel failover-timeout pacs 2000\n"
        self._file.write_text(text)  # it writes into its file what it learns
        super().start()


@contextmanager
def run_redis(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[RedisServer]:
    """Run a server until the block ends."""
    with RedisServer(folder, options) as server:
        yield server


def tls_options(certificates: Certificates) -> dict[str, str]:
    """The options of a server that speaks TLS alone."""
    return {
        "port": "0",
        "tls-port": str(free_port()),
        "tls-cert-file": str(certificates.server.certificate),
        "tls-key-file": str(certificates.server.key),
        "tls-ca-cert-file": str(certificates.ca),
        "tls-auth-clients": "no",
    }
