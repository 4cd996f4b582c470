"""dicomgate-passcode: username and passcode logins, from an htpasswd file.

Modules:

    authenticator  `Passcode`, what `use = "passcode"` makes
    commands       `dicomgate passcode add | import | remove | list | verify`
    dummy_hash     The hash that is verified where there is none
    exchange       Put a new version of a file in the place of the one that was read, and of no other
    file_writer    Changes to the users file on disk: merged with those of other programs, atomic
    hashing        One hash: which schemes are read, what they may cost, verify and make
    import_file    A file with users to import: bytes -> entries, every line checked
    policy         Which passcodes may be set, and one that cannot be guessed
    users_file     The users file: bytes -> users, every line checked
    watched_users  The users of now: the file is watched, the last good one kept

The names below are for authenticators that keep the same hashes elsewhere; README.md says how to use them.
"""

from .authenticator import Passcode
from .dummy_hash import DummyHash, DummyHashes
from .hashing import READABLE, Cost, HashingFailedError, cannot_be_right, make_hash, read_cost, verify

__all__ = [
    "READABLE",
    "Cost",
    "DummyHash",
    "DummyHashes",
    "HashingFailedError",
    "Passcode",
    "cannot_be_right",
    "make_hash",
    "read_cost",
    "verify",
]
