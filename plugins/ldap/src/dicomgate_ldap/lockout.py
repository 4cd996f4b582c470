"""After how many wrong passcodes the directory locks an account, by the password policies that may be read.

An account that a directory locks is locked for everything that it is used for. The gateway compares this number with
its own limit, so that the operator learns of it before a guesser shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import ldap

from .connection import Connection, Entry

_POLICIES = "(|(objectClass=domainDNS)(objectClass=msDS-PasswordSettings)(objectClass=pwdPolicy))"
"""The head of a domain of Active Directory and its finer policies, which only administrators may read; OpenLDAP's."""

_THRESHOLDS = ("lockoutthreshold", "msds-lockoutthreshold", "pwdmaxfailure")
_SWITCH = "pwdlockout"
"""draft-behera-ldap-password-policy 5.2.11: without it, pwdMaxFailure has no effect."""


async def locks_after(own: Connection, base: str) -> int:
    """The least number of wrong passcodes that lock an account, 0 if none is known of. Raises NoAnswerError."""
    try:
        entries = await own.search(domain_of(base), ldap.SCOPE_SUBTREE, _POLICIES, [*_THRESHOLDS, _SWITCH])
    except ldap.LDAPError:  # it may not be read: no login depends on it
        return 0
    return min(_thresholds(entries), default=0)


def domain_of(base: str) -> str:
    """The part of the DN that is made of `dc` alone: the domain in which policies are looked for. Else all of it."""
    rdns = ldap.dn.explode_dn(base)
    first = next((at for at in range(len(rdns)) if all(rdn.lower().startswith("dc=") for rdn in rdns[at:])), 0)
    return ",".join(rdns[first:])


def _thresholds(entries: Iterable[Entry]) -> Iterator[int]:
    for _, attributes in entries:
        # RFC 4512 2.5: a directory answers in its own spelling.
        values: Mapping[str, bytes] = {name.lower(): value[0] for name, value in attributes.items() if value}
        found = [int(values[name]) for name in _THRESHOLDS if values.get(name, b"").isdigit()]
        if values.get(_SWITCH, b"TRUE") == b"TRUE":
            yield from filter(None, found)
