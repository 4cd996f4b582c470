"""Whether an account may be used, by what its entry says: disabled for good, or expired.

An account that is locked for a while after wrong passcodes counts as usable: otherwise anybody who guesses could end
the associations of its owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_DISABLED = 0x2
"""ADS_UF_ACCOUNT_DISABLE of userAccountControl ([MS-ADTS] 2.2.16)."""
_NEVER = 0x7FFF_FFFF_FFFF_FFFF
"""accountExpires is this or 0 for an account that does not expire ([MS-ADA1] 2.1)."""
_SINCE_1601 = 11_644_473_600
"""Seconds from the beginning of FILETIME, which counts in 100 ns, to that of Unix."""
_FOR_GOOD = "000001010000Z"
"""pwdAccountLockedTime of an account that only an administrator unlocks (draft-behera-ldap-password-policy 5.3.3)."""

STANDING = ("userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime")
"""The attributes of Active Directory, of 389 Directory Server and FreeIPA, and of OpenLDAP's password policy."""


def problem_of(entry: Mapping[str, Sequence[bytes]], now: float) -> str:
    """Why the account of this entry must not be used at this time (Unix); "" if nothing says so."""
    values = {name.lower(): value[0].decode("utf-8", "replace") for name, value in entry.items() if value}
    if _number(values.get("useraccountcontrol")) & _DISABLED or values.get("nsaccountlock", "").lower() == "true":
        return "the account is disabled"
    if values.get("pwdaccountlockedtime") == _FOR_GOOD:
        return "the account is locked or disabled"
    expires = _number(values.get("accountexpires"))
    if expires not in (0, _NEVER) and expires / 10_000_000 - _SINCE_1601 <= now:
        return "the account has expired"
    return ""


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
