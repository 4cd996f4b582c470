"""`use = "radius"`: User-Identity-Type 2, verified by RADIUS servers (PS3.7 D.3.3.7.1; RFC 2865, PAP).

Rule 1: a passcode that is empty, or that RADIUS cannot carry exactly as it is, is refused without asking a server.
Rule 2: no answer, or none that is authentic, is `Unavailable`: it is never taken for a rejection.
Rule 3: requests carry a Message-Authenticator, and answers must have one. No key changes that.
Rule 4: a server is asked about each login, unless `remember` says for how long a right passcode is good.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from dicomgate import Attempt, ConfigError, Decision, IdentityType, Probed, Reject, Unavailable
from dicomgate.kit.addresses import parse_address, show_address
from dicomgate.kit.credentials import Credentials, credentials_of
from dicomgate.kit.failover import Failover, NoAnswerError
from dicomgate.kit.files import read_secret
from dicomgate.kit.verified import Verified, remembering

from .messages import LONGEST_VALUE, Question, passcode_problem, read_answer
from .server import Server

_log = logging.getLogger(__name__)

_PORT = 1812
SHORTEST_GOOD = 16
"""RFC 2865 3: "It is preferred that the secret be at least 16 octets." """
_REJECTIONS_DELAYED = 1.0
"""Seconds by which FreeRADIUS, unless told otherwise, delays each rejection."""


@dataclass(kw_only=True, eq=False)
class Radius:
    """The accounts of RADIUS servers, which are first asked at a login. Raises ConfigError for wrong keys and files."""

    servers: list[str]
    """"host" or "host:port", IPv6 in brackets, in the order in which they are asked. The default port is 1812."""

    secret_file: Path
    """The file with the secret shared with all of these servers, on one line; not readable by everybody."""

    nas_identifier: str | None = None
    """The name of this gateway in requests (NAS-Identifier). None: its host name."""

    group_attributes: Sequence[Literal["Filter-Id", "Class"]] = ("Filter-Id",)
    """The attributes of an Access-Accept whose values are the user's groups."""

    attempt_timeout: timedelta = timedelta(seconds=1.8)
    """The time that all servers together have for an answer. Must be less than `timeout`."""

    retry_after: timedelta = timedelta(seconds=0.6)
    """A request without an answer is sent again each time this has passed."""

    remember: timedelta = timedelta(0)
    """How long a right passcode is accepted without asking again. Never with one-time codes: they would work twice."""

    handles: ClassVar = frozenset({IdentityType.USERNAME_AND_PASSCODE})
    _identifier: str = field(init=False, repr=False)
    _servers: dict[str, Server] = field(init=False, repr=False)
    _failover: Failover[Server] = field(init=False, repr=False)
    _verified: Verified = field(init=False, repr=False)

    def __post_init__(self) -> None:
        seconds, again = self.attempt_timeout.total_seconds(), self.retry_after.total_seconds()
        if not 0.1 <= seconds <= 60 or not 0.1 <= again <= 60:
            raise ConfigError("attempt_timeout and retry_after: 100ms to 60s")
        self._verified = remembering(self.remember)
        self._identifier = socket.gethostname() if self.nas_identifier is None else self.nas_identifier
        if not 1 <= len(self._identifier.encode()) <= LONGEST_VALUE or not self._identifier.isprintable():
            raise ConfigError(f"nas_identifier: must be 1 to {LONGEST_VALUE} printable bytes")
        addresses = [_read_server(server) for server in self.servers]
        if not addresses or len(set(addresses)) < len(addresses):
            raise ConfigError("servers: at least one, and none of them twice")
        secret = read_secret(self.secret_file)
        if len(secret) < SHORTEST_GOOD:
            _log.warning("%s: shorter than %d bytes; it can be guessed", self.secret_file, SHORTEST_GOOD)
        if len(addresses) > 1 and seconds / len(addresses) <= _REJECTIONS_DELAYED:
            _log.warning(
                "attempt_timeout: each of %d RADIUS servers has %.1f s; one that delays rejections by a second, as "
                "FreeRADIUS does, counts as one that does not answer",
                len(addresses),
                seconds / len(addresses),
            )
        self._servers = {show_address(host, port): Server(host, port, secret, again) for host, port in addresses}
        self._failover = Failover(self._servers, seconds=seconds, kind="RADIUS server", log=_log)

    @property
    def answers_within(self) -> timedelta:
        """Tell the gateway how long all servers together may take."""
        return self.attempt_timeout

    async def __aenter__(self) -> Radius:
        """Look up the names and open the sockets. A problem is logged; the look-up is tried again at the next login."""
        try:
            seconds = self.attempt_timeout.total_seconds()
            problems = await asyncio.gather(*(server.begin(seconds) for server in self._servers.values()))
        except BaseException:
            await self.__aexit__()
            raise
        for name, problem in zip(self._servers, problems, strict=True):
            if problem:
                _log.warning("RADIUS server %s cannot be asked yet: %s", name, problem)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._verified.forget()
        for server in self._servers.values():
            await server.close()

    async def probe(self) -> list[Probed]:
        """Ask each server for its status (RFC 5997): no login is tried."""
        return list(await asyncio.gather(*(self._probed(*one) for one in self._servers.items())))

    async def _probed(self, name: str, server: Server) -> Probed:
        try:
            await server.ask(None, self.attempt_timeout.total_seconds())
        except NoAnswerError as error:
            return Probed(f"RADIUS server {name}", f"{error}; or it does not answer Status-Server (RFC 5997)")
        return Probed(f"RADIUS server {name}", detail="answers Status-Server")

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """The decision about one attempt, within `attempt_timeout`."""
        credentials = credentials_of(attempt, LONGEST_VALUE)
        if not isinstance(credentials, Credentials):
            return credentials
        if problem := credentials.problem or passcode_problem(credentials.passcode):
            return Reject(problem)
        question = Question(
            credentials.name,
            credentials.passcode,
            calling_station=attempt.peer.address,
            called_station=attempt.called_ae_title,
            nas_identifier=self._identifier,
        )
        # With all that the server is told: it may accept a user at one address and not at another.
        told = question.calling_station, question.called_station
        ask = partial(self._ask, question)
        return await self._verified.decide(credentials.name, credentials.passcode, *told, verify=ask)

    async def _ask(self, question: Question) -> Decision:
        try:
            name, answer = await self._failover.ask(lambda server, seconds: server.ask(question, seconds))
        except NoAnswerError as error:
            return Unavailable(str(error))
        return read_answer(answer, question, self.group_attributes, name)


def _read_server(text: str) -> tuple[str, int]:
    try:
        host, port = parse_address(text, _PORT)
    except ValueError as error:
        raise ConfigError(f"servers: {text!r}: {error}") from None
    if port == 0:
        raise ConfigError(f"servers: {text!r}: a port is 1 to 65535")
    return host, port
