"""`use = "ldap"`: User-Identity-Type 2, verified by an LDAP directory (PS3.7 D.3.3.7.1).

Rule 1: an empty passcode is refused before any directory is asked: it would be an anonymous bind, and succeed
        (RFC 4513 5.1.2).
Rule 2: a directory that cannot be asked is `Unavailable`, and so is one that refuses the gateway's own account.
Rule 3: every refusal costs the directory the same, whatever is wrong, and none comes before the floor.
Rule 4: the directory is asked about each login, unless `remember` says for how long a right passcode is good.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import ClassVar

from dicomgate import Accept, Attempt, Decision, IdentityType, Probed, Reject, Unavailable
from dicomgate.kit.credentials import Credentials, credentials_of
from dicomgate.kit.equal_time import MeasuredFloor, seconds_left
from dicomgate.kit.failover import Failover, NoAnswerError
from dicomgate.kit.verified import Verified, remembering
from dicomgate.kit.watched import Watched

from .directory import DECOY, Directory
from .server import Server
from .settings import Settings, tls_context

_log = logging.getLogger(__name__)

LONGEST_NAME = 255
BLUR = 0.01
"""Seconds, up to which a refusal is delayed at random: a directory's answers scatter more than a hash does."""
_NOT_IN_ACTIVE_DIRECTORY = frozenset('"/\\[]:;|=,+*?<>@')
"""No sAMAccountName has them ([MS-SAMR] 3.1.1.6), and `{name}@domain` has no way to escape them."""


@dataclass(kw_only=True, eq=False)
class Ldap(Settings):
    """The accounts of a directory. Raises ConfigError for wrong keys and files; entering logs whether it answers."""

    handles: ClassVar = frozenset({IdentityType.USERNAME_AND_PASSCODE})
    locks_after: int = field(init=False, repr=False, default=0)
    _tls: Watched[ssl.SSLContext] = field(init=False, repr=False)
    _floor: MeasuredFloor = field(init=False, repr=False)
    _directories: dict[str, Directory] = field(init=False, repr=False, default_factory=dict)
    _failover: Failover[Directory] | None = field(init=False, repr=False, default=None)
    _verified: Verified = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tls = Watched([] if self.ca is None else [self.ca], lambda: tls_context(self.ca), log=_log)
        self._floor = MeasuredFloor(most=self.deadline.total_seconds() / 2)
        self._verified = remembering(self.remember)

    @property
    def answers_within(self) -> timedelta:
        """Tell the gateway how long all directories together may take."""
        return self.deadline

    async def __aenter__(self) -> Ldap:
        """Ask once. If no directory answers, the log says so, and the gateway starts all the same."""
        try:
            await self._servers().ask(lambda directory, seconds: directory.verify("", DECOY, seconds))
            _, self.locks_after = await self._servers().ask(lambda one, seconds: one.locks_after(seconds))
        except NoAnswerError as error:
            _log.error("no directory can be asked; logins are unavailable until one can: %s", error)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._verified.forget()
        directories, self._directories, self._failover = self._directories, {}, None
        for directory in directories.values():
            await directory.close()

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """The decision about one attempt: within the deadline and, if it is a refusal, not before the floor."""
        credentials = credentials_of(attempt, LONGEST_NAME)
        if not isinstance(credentials, Credentials):
            return credentials
        ask = partial(self._ask, credentials)
        return await self._verified.decide(credentials.name, credentials.passcode, verify=ask)

    async def _ask(self, credentials: Credentials) -> Decision:
        begin = time.monotonic()
        name = self.without_domain(credentials.name)
        problem = credentials.problem or self._problem(name, credentials.passcode)
        name, passcode = ("", DECOY) if problem else (name, credentials.passcode.decode("utf-8"))
        try:
            _, answer = await self._servers().ask(lambda one, seconds: one.verify(name, passcode, seconds))
        except NoAnswerError as error:
            return Unavailable(str(error))
        if answer.known:
            self._floor.saw(time.monotonic() - answer.began)
        if not answer.refusal:
            # The name that was typed, if the filter knows the user by that alone.
            handle = None if name == answer.user else name
            return Accept(user=answer.user, groups=answer.groups, attributes={"dn": answer.dn}, handle=handle)
        in_time = begin + self.deadline.total_seconds() - time.monotonic()
        await asyncio.sleep(min(seconds_left(answer.began, self._floor.seconds, BLUR), in_time))
        return Reject(problem or answer.refusal)

    @property
    def still_valid(self) -> Callable[[str, object], Awaitable[Accept | Reject | Unavailable]] | None:
        """Tell the gateway whether users can be asked about again: not with `direct_bind`, nobody could look."""
        return self._still_valid if self.direct_bind is None else None

    async def _still_valid(self, user: str, handle: object) -> Accept | Reject | Unavailable:
        """Whether there is such an account, as for a login, and it is neither disabled nor expired."""
        name = handle if isinstance(handle, str) else user
        try:
            _, answer = await self._servers().ask(lambda directory, seconds: directory.standing(name, seconds))
        except NoAnswerError as error:
            return Unavailable(str(error))
        refusal = answer.refusal or ("" if answer.user == user else f"the name is now that of {answer.user!r}")
        if refusal:
            self._verified.forget()  # or `remember` would let the user in again
        return Reject(refusal) if refusal else Accept(user)

    async def groups_of(self, user: str) -> frozenset[str]:
        """The groups of a user whom another authenticator has verified; `filter` finds the entry.

        Raises LookupError if there is not exactly one entry, or it is not in the `required_group`; ConnectionError if
        no directory can be asked. Locked and expired accounts are not told from others.
        """
        if not 1 <= len(user.encode()) <= LONGEST_NAME or not user.isprintable():
            raise LookupError("not the name of a user")
        try:
            _, answer = await self._servers().ask(lambda directory, seconds: directory.look_up(user, seconds))
        except NoAnswerError as error:
            raise ConnectionError(str(error)) from None
        if answer.refusal:
            raise LookupError(answer.refusal)
        if answer.user.casefold() != user.casefold():
            # Directories match names that differ: a certificate's " alice" must not have alice's groups.
            raise LookupError(f"the directory calls it {answer.user!r}, not {user!r}")
        return answer.groups

    async def probe(self) -> list[Probed]:
        """Ask each directory as for an unknown user."""
        self._servers()
        return list(await asyncio.gather(*(self._probed(*one) for one in self._directories.items())))

    async def _probed(self, url: str, directory: Directory) -> Probed:
        seconds = self.deadline.total_seconds()
        try:
            await directory.verify("", DECOY, seconds)
            most = await directory.locks_after(seconds)
        except NoAnswerError as error:
            return Probed(f"directory {url}", str(error))
        facts = [f"answers{f' {self.bind_dn}' if self.bind_dn else ''}"]
        facts += [f"{most} wrong passcodes lock an account"] if most else []
        facts += [f"its certificate: {directory.certificate}"] if directory.certificate else []
        return Probed(f"directory {url}", detail="; ".join(facts))

    def _problem(self, name: str, passcode: bytes) -> str:
        """Why a directory cannot be asked about exactly this name and passcode; "" if it can."""
        by_template = self.direct_bind is not None and not self.binds_a_dn
        if by_template and not _NOT_IN_ACTIVE_DIRECTORY.isdisjoint(name):
            return "no username of Active Directory has such a character"
        if b"\0" in passcode:
            # For directories written in C it may end there, and the part before it may be right.
            return "a passcode with a NUL"
        try:
            passcode.decode("utf-8")
        except UnicodeDecodeError:
            return "the passcode is not UTF-8"
        return ""

    def _servers(self) -> Failover[Directory]:
        if self._failover is None:
            self._directories = {url.text: Directory(Server(self, url, self._tls.current)) for url in self.urls}
            seconds = self.deadline.total_seconds()
            self._failover = Failover(self._directories, seconds=seconds, kind="directory", log=_log)
        return self._failover
