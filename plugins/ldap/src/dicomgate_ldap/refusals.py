"""What an error of a directory says about a login: why it is refused; or nothing, because nobody looked."""

from __future__ import annotations

import re

import bonsai

_ACTIVE_DIRECTORY = re.compile(r"\bdata ([0-9a-f]{3,4})\b")
_OF_ACTIVE_DIRECTORY = {
    "530": "logins are not permitted at this time",
    "531": "logins are not permitted from this computer",
    "532": "the passcode has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the passcode must be changed first",
    "775": "the account is locked",
}
"""Result 49 with the Windows error, in hexadecimal, in the text."""

_OF_POLICY = {
    bonsai.PasswordExpired: "the passcode has expired",
    bonsai.AccountLocked: "the account is locked or disabled",
    bonsai.ChangeAfterReset: "the passcode must be changed first",
}

_OF_BINDS = {
    19: "Constraint violation",
    32: "No such object",
    48: "Inappropriate authentication",
    49: "Invalid credentials",
    53: "Server is unwilling to perform",
}
"""Results of a bind that say something of the login (RFC 4511 appendix A.2), in libldap's words. 389 Directory Server
answers with 53 if the account is inactive, with 19 if it is locked."""

_UNWILLING = 53


def refusal_of_bind(error: bonsai.LDAPError, wrong: str) -> str:
    """Why the directory refuses this login, `wrong` if it says no more than that; empty if it says nothing of it."""
    for kind, reason in _OF_POLICY.items():
        if isinstance(error, kind):
            return reason
    said = in_words(error)
    if not said.startswith(_OF_BINDS.get(error.code, "\0")):
        # Or it is StartTLS that was refused with such a result: then libldap puts no words of its own in front.
        return ""
    if error.code in (19, _UNWILLING):
        return f"the directory refuses the account: {said}"
    code = _ACTIVE_DIRECTORY.search(said)
    return _OF_ACTIVE_DIRECTORY.get(code[1], wrong) if code else wrong


def must_change(error: bonsai.LDAPError) -> bool:
    """True if whoever is bound may do nothing but change the passcode.

    OpenLDAP answers with 50 and these words, 389 Directory Server with 53. (draft-behera-ldap-password-policy 8.1.2.2:
    the bind itself succeeds, and what the control says of it bonsai does not hand on.)
    """
    return error.code == _UNWILLING or (isinstance(error, bonsai.InsufficientAccess) and "restricted" in str(error))


def in_words(error: bonsai.LDAPError) -> str:
    """What the directory or libldap said."""
    said = str(error.args[0]).rstrip(". ") if error.args else ""
    return said or f"no answer that can be read ({error.code})"
