"""dicomgate-passcode: username and passcode logins, from an htpasswd file.

hashing         one hash: which schemes are read, what they may cost, verify and make
decoy           the hash that is verified where there is none, and how long a login takes
users_file      the file: bytes -> users, every line checked
rewrite         the file changed on disk: locked, atomic
current         the users of now: the file watched, the last good one kept
authenticator   `Passcode`, what `use = "passcode"` makes
policy          which passcodes may be set, and one that nobody can guess
import_file     users to be imported: bytes -> entries, every line checked
commands        `dicomgate passcode add | import | remove | list | verify`

What is imported from here is meant for authenticators that keep the same hashes elsewhere; README.md says how.
"""

from .authenticator import Passcode
from .decoy import Decoy, Decoys
from .hashing import READABLE, Cost, HashingFailedError, cannot_be_right, make_hash, read_cost, verify

__all__ = [
    "READABLE",
    "Cost",
    "Decoy",
    "Decoys",
    "HashingFailedError",
    "Passcode",
    "cannot_be_right",
    "make_hash",
    "read_cost",
    "verify",
]
