"""What is asked about a user: whether the passcode is right, and which name and groups the directory has.

Rule 1: each login costs the server the same: one search, the search for groups if there is one, one bind on another
        connection. If there is no entry, a decoy takes its place.
Rule 2: a user is one entry. None is refused, two are refused.
Rule 3: the name of the user is what the entry says, never what the client sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import ldap
from cryptography import x509
from ldap.dn import escape_dn_chars
from ldap.filter import escape_filter_chars

from dicomgate.kit.certificates import described
from dicomgate.kit.failover import NoAnswerError

from .bind_errors import MUST_CHANGE, must_change
from .connection import Connection, Entry
from .lockout import locks_after
from .server import ANY, RefusedError, Server
from .settings import fill, read_dn
from .standing import STANDING, problem_of

_NESTED = "(member:1.2.840.113556.1.4.1941:={dn})"
"""LDAP_MATCHING_RULE_IN_CHAIN of [MS-ADTS] 3.1.1.3.4.4.3: Active Directory follows groups in groups itself."""

_WANTED = {"memberof": ("memberOf",), "nested": ("objectSid", "primaryGroupID")}
"""What is read from an entry for each kind of `groups`, besides the name."""

_MOST_GROUPS = 2000

DECOY = "dicomgate-decoy"
"""The name that is asked for in place of one that cannot be right. As a `cn` below `base` it is the entry that a bind
is tried with if the user has none. It need not exist."""

_UNKNOWN = "unknown user"
_AMBIGUOUS = "ambiguous: more than one entry has this name"


class _Person(NamedTuple):
    """What an entry says of a user. `primary_group` is the SID of that group, as in a filter, or ""."""

    dn: str
    name: str
    member_of: tuple[str, ...] = ()
    primary_group: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the directory says of one login: the user's canonical name, DN and groups, or why it is refused.

    `known`: the directory verified a passcode against an entry. `began`: when it was asked (time.monotonic).
    """

    user: str = ""
    dn: str = ""
    groups: frozenset[str] = frozenset()
    refusal: str = ""
    known: bool = False
    began: float = 0.0


class Directory:
    """The directory on one server. `Server.in_time` says what is raised."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._settings = server.settings
        self._decoy = _Person(f"cn={DECOY},{self._settings.base}", DECOY)
        self.close = server.close

    @property
    def certificate(self) -> str:
        """The server's certificate in words, "" if it has presented none."""
        presented = self._server.target.certificate
        return described(x509.load_der_x509_certificate(presented)) if presented else ""

    async def verify(self, name: str, passcode: str, seconds: float) -> Answer:
        """Whether this is the user's passcode. With an empty name as much is asked as for an unknown user."""
        ask = self._find_and_bind if self._settings.direct_bind is None else self._bind_and_read
        answer, began = await self._server.in_time(lambda: ask(name, passcode), seconds)
        return replace(answer, began=began)

    async def look_up(self, name: str, seconds: float) -> Answer:
        """What the directory says of a user whom another authenticator has verified."""
        answer, began = await self._server.in_time(lambda: self._look_up(name), seconds)
        return replace(answer, began=began)

    async def standing(self, name: str, seconds: float) -> Answer:
        """Whether the user could still log in, as far as the entry says."""
        answer, began = await self._server.in_time(lambda: self._standing(name), seconds)
        return replace(answer, began=began)

    async def locks_after(self, seconds: float) -> int:
        """How many wrong passcodes lock an account, 0 if that is unknown."""
        if self._settings.direct_bind is not None:  # there is no account to ask with
            return 0
        ask = partial(locks_after, base=self._settings.base)
        number, _ = await self._server.in_time(lambda: self._server.on_our_own(ask), seconds)
        return number

    async def _look_up(self, name: str) -> Answer:
        entries, person, groups = await self._server.on_our_own(lambda own: self._find_with_groups(own, name))
        if len(entries) != 1:
            return Answer(refusal=_AMBIGUOUS if entries else _UNKNOWN)
        return self._admitted(person, groups)

    async def _standing(self, name: str) -> Answer:
        async def ask(own: Connection) -> Answer:
            entries = await self._find(own, name, STANDING)
            if len(entries) != 1:
                return Answer(refusal=_AMBIGUOUS if entries else _UNKNOWN)
            if problem := problem_of(entries[0][1], time.time()):
                return Answer(refusal=problem, known=True)
            person, required = self._person(entries[0]), self._settings.required_group
            return self._admitted(person, frozenset() if required is None else await self._groups(own, person))

        return await self._server.on_our_own(ask)

    async def _find_and_bind(self, name: str, passcode: str) -> Answer:
        # Groups before the bind: the directory must not be asked more after a right passcode than after a wrong one.
        entries, person, groups = await self._server.on_our_own(lambda own: self._find_with_groups(own, name))
        known = bool(name) and len(entries) == 1
        try:
            async with self._server.bound(person.dn, passcode, "wrong passcode") as connection:
                with suppress(ldap.LDAPError):
                    # A user who must change the passcode first can bind, but may do nothing else.
                    await self._search(connection, person.dn, ldap.SCOPE_BASE, ANY)
        except RefusedError as error:
            if known:
                return Answer(refusal=str(error), known=True)
        if not known:
            return Answer(refusal=_AMBIGUOUS if entries else _UNKNOWN)
        return self._admitted(person, groups)

    async def _bind_and_read(self, name: str, passcode: str) -> Answer:
        settings, sought = self._settings, name or DECOY
        bound = fill(settings.direct_bind or "", name=escape_dn_chars(sought) if settings.binds_a_dn else sought)
        try:
            async with self._server.bound(bound, passcode, "unknown user or wrong passcode") as connection:
                if settings.binds_a_dn:
                    entries = await self._search(connection, bound, ldap.SCOPE_BASE, ANY)
                else:
                    entries = await self._find(connection, sought)
                if len(entries) != 1:
                    raise NoAnswerError(f"the passcode is right, but the filter finds {len(entries)} entries")
                person = self._person(entries[0])
                groups = await self._groups(connection, person)
            if not settings.binds_a_dn:
                # One user's userPrincipalName may be another's sAMAccountName: is it the passcode of the entry found?
                async with self._server.bound(person.dn, passcode, "the passcode of another user"):
                    pass
        except RefusedError as error:
            return Answer(refusal=str(error))
        return self._admitted(person, groups) if name else Answer(refusal=_UNKNOWN)

    def _admitted(self, person: _Person, groups: frozenset[str]) -> Answer:
        required = self._settings.required_group
        if required is not None and required.casefold() not in (group.casefold() for group in groups):
            return Answer(refusal=f"not in the group {required}", known=True)
        return Answer(person.name, person.dn, groups, known=True)

    async def _find_with_groups(self, own: Connection, name: str) -> tuple[list[Entry], _Person, frozenset[str]]:
        """The entries of this name; the user that the only one is, or the decoy; and the groups of that."""
        entries = await self._find(own, name or DECOY)
        person = self._person(entries[0]) if name and len(entries) == 1 else self._decoy
        return entries, person, await self._groups(own, person)

    async def _find(self, connection: Connection, name: str, also: Sequence[str] = ()) -> list[Entry]:
        """The entries that the filter finds, two of them if there are more; with these attributes, too."""
        expression = fill(self._settings.filter, name=escape_filter_chars(name))
        return await self._search(connection, self._settings.base, ldap.SCOPE_SUBTREE, expression, also)

    async def _search(
        self, connection: Connection, base: str, scope: int, expression: str, also: Sequence[str] = ()
    ) -> list[Entry]:
        wanted = [self._settings.name_attribute, *_WANTED.get(self._settings.groups, ()), *also]
        try:
            return await connection.search(base, scope, expression, wanted, 2)
        except ldap.SIZELIMIT_EXCEEDED:
            return [("", {}), ("", {})]
        except ldap.LDAPError as error:
            if must_change(error):
                raise RefusedError(MUST_CHANGE) from None
            raise

    def _person(self, entry: Entry) -> _Person:
        dn, attribute = entry[0], self._settings.name_attribute
        # RFC 4512 2.5: names of attributes are case insensitive, and a directory answers in its own spelling.
        values = {name.lower(): value for name, value in entry[1].items()}
        try:
            names = [value.decode("utf-8") for value in values.get(attribute.lower(), ())]
            member_of = tuple(value.decode("utf-8") for value in values.get("memberof", ()))
        except UnicodeDecodeError:
            raise NoAnswerError(f"{dn}: a name is not UTF-8") from None
        if len(names) != 1 or not names[0] or not names[0].isprintable():
            raise NoAnswerError(f"{dn}: must have one {attribute}, and has {len(names)}")
        return _Person(dn, names[0], member_of, _primary_group(values))

    async def _groups(self, connection: Connection, person: _Person) -> frozenset[str]:
        """The names of the groups below `group_base`: of each, the first value in its DN."""
        settings, dns = self._settings, person.member_of
        if settings.searches_for_groups:
            template = _NESTED if settings.groups == "nested" else settings.group_filter
            if person.primary_group:
                template = f"(|{template}(objectSid={person.primary_group}))"
            values = {"dn": escape_filter_chars(person.dn), "name": escape_filter_chars(person.name)}
            sought = settings.group_base or settings.base, ldap.SCOPE_SUBTREE, fill(template, **values)
            try:
                dns = tuple(dn for dn, _ in await connection.search(*sought, ["1.1"], _MOST_GROUPS))
            except ldap.SIZELIMIT_EXCEEDED:
                raise NoAnswerError(f"{person.dn} is in more than {_MOST_GROUPS} groups") from None
        return frozenset(read_dn(dn)[0][1] for dn in dns if is_below(dn, settings.group_base or settings.base))


def _primary_group(values: Mapping[str, Sequence[bytes]]) -> str:
    """The SID of the primary group: that of the user, with `primaryGroupID` as its last part ([MS-DTYP] 2.4.2.2)."""
    sid, number = (values.get(name, (b"",))[0] for name in ("objectsid", "primarygroupid"))
    if not (sid and number.isdigit()):
        return ""
    last = (int(number) & 0xFFFFFFFF).to_bytes(4, "little")
    return "".join(f"\\{byte:02x}" for byte in sid[:-4] + last)


def is_below(dn: str, base: str) -> bool:
    """True if the entry is below the base. What is not a DN is below nothing."""
    try:
        entry, root = _comparable(dn), _comparable(base)
    except ValueError:
        return False
    return len(entry) > len(root) and entry[-len(root) :] == root


def _comparable(dn: str) -> list[tuple[str, str]]:
    return [(attribute.lower(), value.casefold()) for attribute, value in read_dn(dn)]
