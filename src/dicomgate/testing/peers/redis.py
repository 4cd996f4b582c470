"""A redis-server of our own: started, stopped in its tracks, ended and started again."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .certificates import Certificates
from .loopback import HOST, free_port
from .process import require, running


@dataclass
class RedisServer:
    """A server on a port of 127.0.0.1 that keeps nothing on disk; `options` are those of its configuration."""

    folder: Path
    port: int
    options: Mapping[str, str]
    _context: AbstractContextManager[subprocess.Popen[bytes]] | None = field(default=None, repr=False)
    _pid: int = 0

    @property
    def url(self) -> str:
        """Its address, without a password."""
        return f"redis://{HOST}:{self.port}/0"

    def start(self) -> None:
        """Run it, with nothing in it. Raises RuntimeError with its log."""
        lines = {"bind": HOST, "port": str(self.port), "save": '""', "dir": str(self.folder), **self.options}
        configuration = self.folder / "redis.conf"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        port = int(lines["port"] or 0) or int(lines["tls-port"])
        program = require("redis-server", "redis-server")
        self._context = running([program, configuration], log=self.folder / "redis.log", ports=[port])
        self._pid = self._context.__enter__().pid

    def end(self) -> None:
        """Kill it, if it runs."""
        context, self._context = self._context, None
        if context is not None:
            context.__exit__(None, None, None)

    def hang(self) -> None:
        """Let it accept connections, and answer nothing."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """After `hang`: let it answer."""
        os.kill(self._pid, signal.SIGCONT)

    def command(self, *words: str) -> str:
        """What redis-cli says to this command. Raises subprocess.CalledProcessError where that is an error."""
        command = [require("redis-cli", "redis-tools"), "-e", "-h", HOST, "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout


@contextmanager
def run_redis(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[RedisServer]:
    """Run a server until the block ends."""
    server = RedisServer(folder, free_port(), options or {})
    server.start()
    try:
        yield server
    finally:
        server.end()


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
