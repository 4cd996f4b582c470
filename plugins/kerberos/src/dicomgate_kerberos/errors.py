"""The errors of libkrb5 and our own, in words that an operator understands.

Rule: every error refuses the login. The number only tells "not genuine" from "could not be verified here".
"""

from __future__ import annotations

import errno

_BASE = -1765328384
"""krb5.h: ERROR_TABLE_BASE_krb5."""
BAD_INTEGRITY = _BASE + 31
"""KRB5KRB_AP_ERR_BAD_INTEGRITY: "Decrypt integrity check failed"."""
_WORDS = {
    "Decrypt integrity check failed": "made with another key, or changed in transit",
    "Ticket not yet valid": "the ticket is not valid yet, or the clocks differ",
    "Request is a replay": "a replay: this token was seen before",
    "Ticket/authenticator don't match": "the authenticator is not of the ticket's client",
    "Clock skew too great": "made too long ago, or the clocks differ: by more than clockskew of krb5.conf",
    "Incorrect net address": "the ticket is for another address",
    "Ticket has invalid flag set": "the ticket is postdated and was never validated",
}
_REPLAY_CACHE = range(_BASE + 159, _BASE + 173)  # KRB5_RC_TYPE_EXISTS to KRB5_RC_IO_SPACE
_REPLAYED = _BASE + 163  # KRB5_RC_REPLAY: the one of these that says something about the token
_CONFIGURATION = (*range(_BASE + 135, _BASE + 138), *range(-1429577728, -1429577728 + 32))  # KRB5_CONFIG_..., PROF_...
_KEYTAB_UNREADABLE = _BASE + 184  # KRB5_KT_IOERR
_MACHINE = (
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EMFILE, errno.ENFILE,
    errno.ENOENT, errno.ENOLCK, errno.ENOMEM, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip
_UNAVAILABLE = {*_REPLAY_CACHE, *_CONFIGURATION, _KEYTAB_UNREADABLE, *_MACHINE} - {_REPLAYED}
_NOT_US = _BASE + 35  # KRB5KRB_AP_ERR_NOT_US: the ticket's service has another name, and no key of ours


class KerberosError(Exception):
    """A token that is not accepted. The text is for the log.

    `number` is an error of libkrb5, or 0 for one of our own rules. `unavailable` is true if the token could not be
    verified: this machine or its configuration is at fault, not the token. `not_for_us` is true if the
    ticket is for a service of another name, and no key of ours decrypts it.
    """

    def __init__(self, words: str, number: int = 0) -> None:
        super().__init__(_WORDS.get(words, words))
        self.number = (number + 2**31) % 2**32 - 2**31  # the GSS-API passes the 32 bits on as unsigned
        self.unavailable = self.number in _UNAVAILABLE
        self.not_for_us = self.number == _NOT_US


class NeverGoodError(KerberosError):
    """Neither time nor another keytab makes it good: no AP-REQ, or one of a user who may not log in."""
