"""`use = "radius"`: User-Identity-Type 2, judged by RADIUS servers (PS3.7 D.3.3.7.1; RFC 2865, PAP).

Rule 1: an empty passcode, and one that RADIUS cannot carry exactly as it is, is refused before any server is asked.
Rule 2: no answer, and no answer that can be believed, is `Unavailable`: it is never taken for a rejection.
Rule 3: requests carry a Message-Authenticator, and so must answers. There is no key to change that.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal

from dicomgate import Attempt, ConfigError, Decision, IdentityType, Pass, Reject, Unavailable
from dicomgate.kit.files import read_secret

from .conversation import NoAnswerError
from .messages import LONGEST_VALUE, make_question, problem, read_answer
from .server import Server
from .servers import Servers

_log = logging.getLogger(__name__)

_PORT = 1812
_SERVER = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]\s/@]+))(?::([0-9]{1,5}))?")
SHORTEST_GOOD = 16
"""RFC 2865 3: "It is preferred that the secret be at least 16 octets." """
_REJECTIONS_DELAYED = 1.0
"""Seconds by which FreeRADIUS, unless told otherwise, delays each rejection."""


@dataclass(kw_only=True, eq=False)
class Radius:
    """The accounts behind one or more RADIUS servers.

    Raises ConfigError for what is wrong with these keys and the file they name. Whether a server answers is not asked
    before the first login.
    """

    servers: list[str]
    """"host" or "host:port", IPv6 in brackets; asked in this order, the next one if one does not answer. Port: 1812."""

    secret_file: Path
    """The file with the secret that is shared with all of them, on one line; not open to everybody."""

    nas_identifier: str | None = None
    """What this gateway calls itself there (NAS-Identifier). None: its host name."""

    group_attributes: Sequence[Literal["Filter-Id", "Class"]] = ("Filter-Id",)
    """The attributes of an Access-Accept whose values are the user's groups."""

    attempt_timeout: timedelta = timedelta(seconds=1.8)
    """What all servers together have for an answer. Less than `timeout`."""

    retry_after: timedelta = timedelta(seconds=0.6)
    """Without an answer a request is sent again after so long, and again."""

    handles: frozenset[IdentityType] = field(
        init=False, repr=False, default=frozenset({IdentityType.USERNAME_AND_PASSCODE})
    )
    _identifier: str = field(init=False, repr=False)
    _servers: Servers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        seconds, again = self.attempt_timeout.total_seconds(), self.retry_after.total_seconds()
        if not 0.1 <= seconds <= 60 or not 0.1 <= again <= 60:
            raise ConfigError("attempt_timeout and retry_after: 100ms to 60s")
        self._identifier = socket.gethostname() if self.nas_identifier is None else self.nas_identifier
        if not 1 <= len(self._identifier.encode()) <= LONGEST_VALUE or not self._identifier.isprintable():
            raise ConfigError(f"nas_identifier: 1 to {LONGEST_VALUE} bytes that can be printed")
        addresses = [_read_server(server) for server in self.servers]
        if not addresses or len(set(addresses)) < len(addresses):
            raise ConfigError("servers: at least one, and none of them twice")
        secret = read_secret(self.secret_file)
        if len(secret) < SHORTEST_GOOD:
            _log.warning("%s: shorter than %d bytes; it can be guessed", self.secret_file, SHORTEST_GOOD)
        if len(addresses) > 1 and seconds / len(addresses) <= _REJECTIONS_DELAYED:
            _log.warning(
                "attempt_timeout: each of %d RADIUS servers has %.1f s; one that delays rejections for a second, as "
                "FreeRADIUS does, is taken for one that does not answer",
                len(addresses),
                seconds / len(addresses),
            )
        self._servers = Servers([Server(host, port, secret, again) for host, port in addresses], seconds)

    async def __aenter__(self) -> Radius:
        """Open the sockets; that a name cannot be looked up now is a line in the log, not a reason not to start."""
        try:
            await self._servers.begin()
        except BaseException:
            await self._servers.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._servers.close()

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt, within `attempt_timeout`."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.USERNAME_AND_PASSCODE:
            return Pass("not a username with a passcode")
        if refusal := problem(identity):
            return Reject(refusal)
        question = make_question(identity, attempt, self._identifier)
        try:
            server, answer = await self._servers.ask(question)
        except NoAnswerError as error:
            return Unavailable(str(error))
        return read_answer(answer, question, self.group_attributes, server)


def _read_server(text: str) -> tuple[str, int]:
    match = _SERVER.fullmatch(text)
    port = int(match[3] or _PORT) if match else 0
    if match is None or not 1 <= port <= 0xFFFF:
        raise ConfigError(f'servers: {text!r} is not "host" or "host:port", with IPv6 in brackets: "[::1]:1812"')
    host = match[1] or match[2]
    try:
        host.encode("idna")  # as the resolver will, where it would be too late to say so
    except UnicodeError:
        raise ConfigError(f"servers: {host!r} is not a host name") from None
    return host, port
