"""What libkrb5 says, by number, and in words that an operator understands.

Rule 1: whatever the number, nobody is let in. It only tells "not genuine" from "could not look".
"""

from __future__ import annotations

import errno

_BASE = -1765328384
"""krb5.h: ERROR_TABLE_BASE_krb5."""
_WORDS = {
    "Decrypt integrity check failed": "made with another key, or changed on its way",
    "Ticket not yet valid": "the ticket is not valid yet, or the clocks differ",
    "Request is a replay": "a replay: this token was seen before",
    "Ticket/authenticator don't match": "the authenticator is not of the ticket's client",
    "Clock skew too great": "made too long ago, or the clocks differ: by more than clockskew of krb5.conf",
    "Incorrect net address": "the ticket is for another address",
    "Ticket has invalid flag set": "the ticket is postdated, and nobody has had it validated",
}
_REPLAY_CACHE = range(_BASE + 159, _BASE + 173)  # KRB5_RC_TYPE_EXISTS to KRB5_RC_IO_SPACE
_REPLAYED = _BASE + 163  # KRB5_RC_REPLAY: of these the one that is a judgement
_CONFIGURATION = (*range(_BASE + 135, _BASE + 138), *range(-1429577728, -1429577728 + 32))  # KRB5_CONFIG_..., PROF_...
_KEYTAB_UNREADABLE = _BASE + 184  # KRB5_KT_IOERR
_MACHINE = (
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EMFILE, errno.ENFILE,
    errno.ENOENT, errno.ENOLCK, errno.ENOMEM, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip
_COULD_NOT_LOOK = {*_REPLAY_CACHE, *_CONFIGURATION, _KEYTAB_UNREADABLE, *_MACHINE} - {_REPLAYED}


class KerberosError(Exception):
    """A token that is not accepted; the words are for the log.

    `number` is an error of libkrb5, 0 for one of our own rules; `could_not_look` whether the machine is to blame.
    """

    def __init__(self, number: int, words: str) -> None:
        super().__init__(_WORDS.get(words, words))
        self.number = (number + 2**31) % 2**32 - 2**31  # the GSS-API hands on 32 bits without their sign
        self.could_not_look = self.number in _COULD_NOT_LOOK
