"""dicomgate-passcode: username and passcode logins, from an htpasswd file.

The names below are for authenticators that keep the same hashes elsewhere; README.md says how to use them.
"""

from .authenticator import Passcode
from .dummy_hash import DummyHash, DummyHashes
from .hashing import READABLE, Cost, HashingFailedError, make_hash, read_cost

__all__ = [
    "READABLE",
    "Cost",
    "DummyHash",
    "DummyHashes",
    "HashingFailedError",
    "Passcode",
    "make_hash",
    "read_cost",
]
