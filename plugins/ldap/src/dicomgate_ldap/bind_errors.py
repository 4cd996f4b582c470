"""Why a directory refuses a login, read from the error and the controls of its answer."""

from __future__ import annotations

import re

import ldap
from ldap.controls.ppolicy import PasswordPolicyControl

from .connection import policy_of
from .troubles import details, in_words

EXPIRED = "the passcode has expired"
MUST_CHANGE = "the passcode must be changed first"

_ACTIVE_DIRECTORY = re.compile(r"\bdata ([0-9a-f]{3,4})\b")
_OF_ACTIVE_DIRECTORY = {
    "52f": "restrictions of the account forbid the login",
    "530": "logins are not permitted at this time",
    "531": "logins are not permitted from this computer",
    "532": EXPIRED,
    "533": "the account is disabled",
    "569": "the account may not log in to the directory's server",
    "701": "the account has expired",
    "773": MUST_CHANGE,
    "775": "the account is locked",
}
"""The Windows error, in hexadecimal, in the text of invalidCredentials (49)."""

_OF_POLICY = {0: EXPIRED, 1: "the account is locked or disabled", 2: MUST_CHANGE}
"""passwordExpired, accountLocked and changeAfterReset of draft-behera-ldap-password-policy 6.2."""

_SAYS_WHY = (ldap.CONSTRAINT_VIOLATION, ldap.UNWILLING_TO_PERFORM)
"""389 Directory Server answers a bind with 53 if the account is inactive, and with 19 if it is locked."""

_WRONG = (ldap.INVALID_CREDENTIALS, ldap.NO_SUCH_OBJECT, ldap.INAPPROPRIATE_AUTH)
"""With the two above, the results of a bind that concern the login (RFC 4511 appendix A.2)."""


def refusal_of_bind(error: ldap.LDAPError, wrong: str) -> str:
    """Why the directory refuses this login; `wrong` if it gives no reason, "" if the error is not about the login."""
    if reason := refusal_by_policy(policy_of(details(error).get("ctrls", ()))):
        return reason
    if isinstance(error, _SAYS_WHY):
        return f"the directory refuses the account: {in_words(error)}"
    if not isinstance(error, _WRONG):
        return ""
    code = _ACTIVE_DIRECTORY.search(in_words(error))
    return _OF_ACTIVE_DIRECTORY.get(code[1], wrong) if code else wrong


def refusal_by_policy(policy: PasswordPolicyControl | None) -> str:
    """Why the password policy refuses this login, whether or not the bind succeeded; "" if it does not."""
    if policy is None:
        return ""
    # 6.2: a passcode with grace logins left has expired too; the directory admits the user only to change it.
    return _OF_POLICY.get(policy.error, "" if policy.graceAuthNsRemaining is None else EXPIRED)


def must_change(error: ldap.LDAPError) -> bool:
    """True if the bound user may do nothing but change the passcode."""
    # OpenLDAP then answers a search with 50 and these words, 389 Directory Server with 53.
    restricted = isinstance(error, ldap.INSUFFICIENT_ACCESS) and "restricted" in in_words(error)
    return restricted or isinstance(error, ldap.UNWILLING_TO_PERFORM)
