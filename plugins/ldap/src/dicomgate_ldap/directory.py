"""One directory server: whether it knows this user by this passcode, and what it says of the user. Blocks.

Rule 1: each question about a user costs the same: one search, the search for groups if there is one, one bind on a
        connection of its own. Where there is no entry, a decoy stands for it.
Rule 2: a user is one entry. None is refused, two are refused.
Rule 3: the name of the user is what the entry says, never what was typed.
Rule 4: no bind without a DN or without a passcode: that would be an anonymous one, and succeed (RFC 4513 5.1.2).
Rule 5: nothing is told before TLS is verified, and referrals are not followed: no passcode goes where the operator did
        not send it.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import bonsai

from dicomgate import ConfigError
from dicomgate.kit.files import read_secret_text

from .diagnosis import why_unreachable
from .messages import Answer, Failed, Question, Refused, Verified
from .names import escape, fill, is_below, read_dn
from .refusals import in_words, must_change, refusal_of_bind
from .settings import DECOY, Settings

_T = TypeVar("_T")

_BASE, _SUBTREE = 0, 2  # RFC 4511 4.5.1.2
_ANY = "(objectClass=*)"

_NESTED = "(member:1.2.840.113556.1.4.1941:={dn})"
"""LDAP_MATCHING_RULE_IN_CHAIN of [MS-ADTS] 3.1.1.3.4.4.3: Active Directory follows groups in groups itself."""

_MOST_GROUPS = 2000

_IDLE = 60.0
"""Seconds after which a connection is not trusted to be alive: firewalls forget it, Active Directory closes it."""

# bonsai reads DNs by a grammar of its own: it refuses those with a "#" in a value, and writes some others anew. To us a
# DN is what the directory wrote, and it goes back as that.
bonsai.LDAPDN._dnregex = re.compile("")
bonsai.LDAPDN._LDAPDN__sanitize = staticmethod(lambda text, reverse=False: text)


class _CouldNotLookError(Exception):
    """The directory gave no answer that means anything. The message says why."""


class _RefusedError(Exception):
    """The directory refuses the login. The message says why."""


class _Person(NamedTuple):
    """What an entry says of a user."""

    dn: str
    name: str
    member_of: tuple[str, ...] = ()


class Directory:
    """A server, and the connection on which the gateway's own account asks it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoy = _Person(f"cn={DECOY},{settings.base}", DECOY)
        self._own: Any = None
        self._own_used = 0.0

    def answer(self, question: Question) -> Answer:
        """The answer, whatever the directory does; but it may take for ever."""
        try:
            if question.verified:
                return self._look_up(question.name)
            if self._settings.direct_bind is None:
                return self._find_and_bind(question)
            return self._bind_and_read(self._settings.direct_bind, question)
        except (_CouldNotLookError, _RefusedError, ConfigError) as error:  # a refusal of the gateway's own account
            return Failed(str(error))
        except bonsai.LDAPError as error:
            return Failed(in_words(error))

    def _look_up(self, name: str) -> Answer:
        """What the directory says of a user whom somebody else has verified."""
        entries = self._on_our_own(lambda own: self._find(own, name))
        if len(entries) != 1:
            return Refused("ambiguous: more than one entry has this name" if entries else "unknown user")
        person = self._person(entries[0])
        return self._verified(person, self._on_our_own(lambda own: self._groups(own, person)))

    def _find_and_bind(self, question: Question) -> Answer:
        entries = self._on_our_own(lambda own: self._find(own, question.name or DECOY))
        known = bool(question.name) and len(entries) == 1
        person = self._person(entries[0]) if known else self._decoy
        # Before the bind: what follows a wrong passcode and what follows a right one must not differ.
        groups = self._on_our_own(lambda own: self._groups(own, person))
        try:
            with self._bind(person.dn, question.passcode, "wrong passcode") as connection, suppress(bonsai.LDAPError):
                # Who must change the passcode first is let in, but may not do even this.
                self._search(connection, person.dn, _BASE, _ANY)
        except _RefusedError as error:
            if known:
                return Refused(str(error), known=True)
        if not known:
            return Refused("ambiguous: more than one entry has this name" if entries else "unknown user")
        return self._verified(person, groups)

    def _bind_and_read(self, template: str, question: Question) -> Answer:
        name = question.name or DECOY
        bound = fill(template, {"name": escape(name) if self._settings.binds_a_dn else name})
        try:
            with self._bind(bound, question.passcode, "unknown user or wrong passcode") as connection:
                if self._settings.binds_a_dn:
                    entries = self._search(connection, bound, _BASE, _ANY)
                else:
                    entries = self._find(connection, name)
                if len(entries) != 1:
                    raise _CouldNotLookError(f"the passcode is right, but {len(entries)} entries were found")
                person = self._person(entries[0])
                groups = self._groups(connection, person)
        except _RefusedError as error:
            return Refused(str(error))
        return self._verified(person, groups) if question.name else Refused("nobody was asked for")

    def _verified(self, person: _Person, groups: tuple[str, ...]) -> Answer:
        required = self._settings.required_group
        if required is not None and required.casefold() not in (group.casefold() for group in groups):
            return Refused(f"not in the group {required}", known=True)
        return Verified(person.name, person.dn, groups)

    def _find(self, connection: Any, name: str) -> list[Any]:
        """The entries that the filter finds, two at the most."""
        expression = fill(self._settings.filter, {"name": escape(name)})
        return self._search(connection, self._settings.base, _SUBTREE, expression)

    def _search(self, connection: Any, base: str, scope: int, expression: str) -> list[Any]:
        wanted = [self._settings.name_attribute, *(["memberOf"] if self._settings.groups == "memberof" else [])]
        try:
            return list(connection.search(base, scope, expression, wanted, sizelimit=2))
        except bonsai.SizeLimitError:
            return [None, None]
        except bonsai.LDAPError as error:
            if must_change(error):
                raise _RefusedError("the passcode must be changed first") from None
            raise

    def _person(self, entry: Any) -> _Person:
        attribute = self._settings.name_attribute
        try:
            names = [value.decode("utf-8") for value in entry.get(attribute, ())]
            member_of = tuple(value.decode("utf-8") for value in entry.get("memberOf", ()))
        except UnicodeDecodeError:
            raise _CouldNotLookError(f"{entry.dn}: a name is not UTF-8") from None
        if len(names) != 1 or not names[0] or not names[0].isprintable():
            raise _CouldNotLookError(f"{entry.dn}: must have one {attribute}, and has {len(names)}")
        return _Person(str(entry.dn), names[0], member_of)

    @property
    def _searches_for_groups(self) -> bool:
        return self._settings.groups in ("nested", "search")

    def _groups(self, connection: Any, person: _Person) -> tuple[str, ...]:
        """The names of the groups below `group_base`: of each, what stands first in its DN."""
        settings = self._settings
        dns = person.member_of
        if self._searches_for_groups:
            template = _NESTED if settings.groups == "nested" else settings.group_filter
            expression = fill(template, {"dn": escape(person.dn), "name": escape(person.name)})
            try:
                found = connection.search(settings.group_base, _SUBTREE, expression, ["1.1"], sizelimit=_MOST_GROUPS)
            except bonsai.SizeLimitError:
                raise _CouldNotLookError(f"{person.dn} is in more than {_MOST_GROUPS} groups") from None
            dns = tuple(str(entry.dn) for entry in found)
        return tuple(sorted({read_dn(dn)[0][1] for dn in dns if is_below(dn, settings.group_base)}))

    def _on_our_own(self, ask: Callable[[Any], _T]) -> _T:
        """Ask on the gateway's own connection. If it is an old one and fails, ask once more on a new one."""
        if self._own is not None and time.monotonic() - self._own_used < _IDLE:
            try:
                answer = ask(self._own)
            except bonsai.LDAPError:
                pass
            else:
                self._own_used = time.monotonic()
                return answer
        self._own = None
        own = self._connect_as_the_gateway()
        # To bonsai a server that does not hold the base, and answers with a referral, has simply found nothing.
        searched = {self._settings.base} | ({self._settings.group_base} if self._searches_for_groups else set())
        for base in searched:
            if not own.search(base, _BASE, _ANY, ["1.1"]):
                raise _CouldNotLookError(f"there is no entry {base}, or it may not be read")
        self._own = own
        self._own_used = time.monotonic()
        return ask(self._own)

    def _connect_as_the_gateway(self) -> Any:
        dn, file = self._settings.bind_dn, self._settings.bind_password_file
        # Read for each connection: a new secret counts without a restart.
        secret = None if file is None else read_secret_text(Path(file))
        try:
            return self._bind(dn, secret, "wrong secret")
        except _RefusedError as error:
            raise _CouldNotLookError(f"it refuses the gateway's own account, {dn}: {error}") from None

    def _bind(self, dn: str | None, secret: str | None, wrong: str) -> Any:
        """A connection that is bound as the DN, or as nobody. Raises _RefusedError if the directory refuses that."""
        settings = self._settings
        if dn is not None and not (dn and secret):
            raise _CouldNotLookError("a bind without a name or a passcode, which would be anonymous")
        client = bonsai.LDAPClient(settings.server, settings.starttls)
        client.set_cert_policy("demand")
        system = ssl.get_default_verify_paths()
        client.set_ca_cert(settings.ca or system.cafile)
        client.set_ca_cert_dir(None if settings.ca or system.cafile else system.capath)
        # As bytes: bonsai makes the number 16 of a user whose name is 0x10.
        client.set_raw_attributes([settings.name_attribute, "memberOf"])
        client.set_password_policy(True)
        if dn is not None:
            client.set_credentials("SIMPLE", dn, secret)
        try:
            connection, policy = client.connect()
        except bonsai.LDAPError as error:
            if reason := refusal_of_bind(error, wrong):
                raise _RefusedError(reason) from None
            raise _CouldNotLookError(why_unreachable(settings) or in_words(error)) from None
        if policy is not None and policy["grace"] >= 0:
            # draft-behera-ldap-password-policy 6.2: expired, and let in so many times more to change it.
            connection.close()
            raise _RefusedError("the passcode has expired")
        return connection
