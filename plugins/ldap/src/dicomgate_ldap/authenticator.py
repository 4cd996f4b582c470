"""`use = "ldap"`: User-Identity-Type 2, judged by a directory (PS3.7 D.3.3.7.1).

Rule 1: an empty passcode is refused before any directory is asked: it would be an anonymous bind, and succeed
        (RFC 4513 5.1.2).
Rule 2: a directory that cannot be asked is `Unavailable`, and so is one that refuses the gateway's own account.
Rule 3: every refusal costs the directory the same, whatever is wrong, and none comes before the floor.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal

import bonsai  # noqa: F401 - asked in the workers alone; but that it is missing must be told at the start

from dicomgate import Accept, Attempt, ConfigError, Decision, Identity, IdentityType, Pass, Reject, Unavailable

from .floor import Floor
from .messages import Failed, Question, Verified
from .servers import Servers
from .settings import DECOY, Settings, check

_log = logging.getLogger(__name__)

_LONGEST_NAME = 255
_NOT_IN_ACTIVE_DIRECTORY = frozenset('"/\\[]:;|=,+*?<>@')
"""No sAMAccountName has them ([MS-SAMR] 3.1.1.6), and in `{name}@domain` there would be no way to escape them."""

_ABOUT_NOBODY = Question(name="", passcode=DECOY)


@dataclass(kw_only=True, eq=False)
class Ldap:
    """The accounts of a directory.

    Raises ConfigError for what is wrong with these keys and the files they name. Whether a directory answers is not
    asked here; `async with` asks, and logs it.
    """

    servers: list[str]
    """ldaps://host or ldap://host, with :port if need be, in the order of asking. ldap:// becomes TLS by StartTLS."""

    base: str
    """The DN below which users are."""

    bind_dn: str | None = None
    """The gateway's own account, which looks for users. None: it looks for them without a login."""

    bind_password_file: Path | None = None
    """The file with the secret of that account, on one line."""

    direct_bind: str | None = None
    """What users bind as, nobody looking for them: uid={name},ou=people,dc=example or {name}@hospital.example."""

    filter: str = "(uid={name})"
    """What finds the entry of a user."""

    name_attribute: str = "uid"
    """The attribute with the user's canonical name."""

    groups: Literal["memberof", "nested", "search", "none"] = "memberof"
    """Where groups are looked for: in the entry; groups of groups (Active Directory); by `group_filter`; nowhere."""

    group_base: str | None = None
    """The DN below which a group must be to count. None: `base`."""

    group_filter: str = "(|(member={dn})(uniqueMember={dn})(memberUid={name}))"
    """With `groups = "search"`: what finds the groups of a user."""

    required_group: str | None = None
    """The group without which nobody gets in."""

    ca: Path | None = None
    """The authorities, in PEM, that the servers' certificates are verified against. None: those of the system."""

    cleartext: bool = False
    """True: ldap:// without TLS. Passcodes then cross the network in the clear."""

    deadline: timedelta = timedelta(seconds=1.5)
    """What all servers together have for an answer. Less than `timeout`."""

    connections: int = 4
    """So many logins are put to a server at a time. Each needs a process of its own."""

    handles: frozenset[IdentityType] = field(
        init=False, repr=False, default=frozenset({IdentityType.USERNAME_AND_PASSCODE})
    )
    _settings: list[Settings] = field(init=False, repr=False)
    _floor: Floor = field(init=False, repr=False)
    _servers: Servers | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        seconds = self.deadline.total_seconds()
        if not self.servers or not 0.1 <= seconds <= 60 or not 1 <= self.connections <= 64:
            raise ConfigError("servers: at least one; deadline: 100ms to 60s; connections: 1 to 64")
        if self.cleartext and not any(server.startswith("ldap:") for server in self.servers):
            raise ConfigError("cleartext: no server is asked by ldap://")
        self._settings = [self._settings_for(server) for server in self.servers]
        for settings in self._settings:
            check(settings)
        self._floor = Floor(most=seconds / 2)

    async def __aenter__(self) -> Ldap:
        """Begin to ask: that nobody answers now is a line in the log, not a reason not to start."""
        self._servers = self._begin()
        try:
            answer = await self._servers.ask(_ABOUT_NOBODY)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        if isinstance(answer, Failed):
            _log.error("no directory can be asked; logins are unavailable until one can: %s", answer.reason)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        servers, self._servers = self._servers, None
        if servers is not None:
            await servers.close()

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt, within the deadline and not before the floor."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.USERNAME_AND_PASSCODE:
            return Pass("not a username with a passcode")
        if not identity.secondary:
            return Reject("empty passcode")
        if self._servers is None:
            self._servers = self._begin()
        loop = asyncio.get_running_loop()
        start = loop.time()
        problem, question = self._read(identity)
        answer = await self._servers.ask(question)
        if isinstance(answer, Failed):
            return Unavailable(answer.reason)
        if isinstance(answer, Verified) or answer.known:
            self._floor.saw(answer.seconds)
        if isinstance(answer, Verified):
            return Accept(user=answer.user, groups=frozenset(answer.groups), attributes={"dn": answer.dn})
        in_time = start + self.deadline.total_seconds() - loop.time()
        await asyncio.sleep(min(self._floor.wait_after(answer.seconds), in_time))
        return Reject(problem or answer.reason)

    async def groups_of(self, user: str) -> frozenset[str]:
        """The groups of a user whom another authenticator has verified; `filter` finds its entry.

        Raises LookupError if there is not one entry, or it is not in the `required_group`; ConnectionError if no
        directory can be asked. Locked and expired accounts are not told from others.
        """
        if not 1 <= len(user.encode()) <= _LONGEST_NAME or not user.isprintable():
            raise LookupError("no name of a user")
        if self._servers is None:
            self._servers = self._begin()
        answer = await self._servers.ask(Question(user, "", verified=True))
        if isinstance(answer, Verified):
            if answer.user.casefold() != user.casefold():
                # Directories take names for alike that are not: a certificate's " alice" must not have alice's groups.
                raise LookupError(f"the directory calls it {answer.user!r}, not {user!r}")
            return frozenset(answer.groups)
        if isinstance(answer, Failed):
            raise ConnectionError(answer.reason)
        raise LookupError(answer.reason)

    def _read(self, identity: Identity) -> tuple[str, Question]:
        """Why the identity cannot be right, empty if it can; and what to ask: as much for one that cannot."""
        try:
            name, passcode = identity.primary.decode("utf-8"), identity.secondary.decode("utf-8")
        except UnicodeDecodeError:
            return "the username or the passcode is not UTF-8", _ABOUT_NOBODY
        if not name or len(identity.primary) > _LONGEST_NAME or not name.isprintable():
            return f"no username of 1 to {_LONGEST_NAME} bytes that can be printed", _ABOUT_NOBODY
        as_it_is = self.direct_bind is not None and not self._settings[0].binds_a_dn
        if as_it_is and not _NOT_IN_ACTIVE_DIRECTORY.isdisjoint(name):
            return "no username of Active Directory has such a character", _ABOUT_NOBODY
        if "\0" in passcode:
            # It would end there for libldap, and what stands before it may be right.
            return "a passcode with a NUL", _ABOUT_NOBODY
        return "", Question(name, passcode)

    def _begin(self) -> Servers:
        return Servers(self._settings, self.deadline.total_seconds(), self.connections)

    def _settings_for(self, server: str) -> Settings:
        return Settings(
            server=server,
            cleartext=self.cleartext,
            ca=None if self.ca is None else str(self.ca),
            bind_dn=self.bind_dn,
            bind_password_file=None if self.bind_password_file is None else str(self.bind_password_file),
            direct_bind=self.direct_bind,
            base=self.base,
            filter=self.filter,
            name_attribute=self.name_attribute,
            groups=self.groups,
            group_base=self.group_base or self.base,
            group_filter=self.group_filter,
            required_group=self.required_group,
        )
