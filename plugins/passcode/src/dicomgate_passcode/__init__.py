"""dicomgate-passcode: username and passcode logins, from an htpasswd file, and towards an upstream.

The names below are for authenticators that keep the same hashes elsewhere; README.md says how to use them.
"""

from .authenticator import Passcode
from .dummy_hash import DummyHash, DummyHashes
from .hashing import READABLE, Cost, HashingFailedError, make_hash, read_cost
from .service import Service
from .username import Username

__all__ = [
    "READABLE",
    "Cost",
    "DummyHash",
    "DummyHashes",
    "HashingFailedError",
    "Passcode",
    "Service",
    "Username",
    "make_hash",
    "read_cost",
]
