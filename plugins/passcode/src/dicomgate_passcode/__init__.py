"""dicomgate-passcode: username and passcode logins, from an htpasswd file.

hashing         one hash: which schemes are read, what they may cost, verify and make
decoy           the hash that is verified where there is none, and how long a login takes
users_file      the file: bytes -> users, every line checked
rewrite         the file changed on disk: locked, atomic
current         the users of now: the file watched, the last good one kept
authenticator   `Passcode`, what `use = "passcode"` makes
commands        `dicomgate passcode add | remove | list | verify`
"""

from .authenticator import Passcode

__all__ = ["Passcode"]
