"""The users file: `parse` of `dicomgate_passcode.users_file`.

Promise: it is read or refused with ConfigError. Each user stands on one line, with the hash, which no warning tells.
"""

from __future__ import annotations

from pathlib import Path

from dicomgate import ConfigError
from dicomgate_passcode.users_file import parse

from ..engine import Target

_PATH = Path("users.htpasswd")
_HASHES = (
    b"$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
    b"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
    b"$6$rounds=5000$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1",
    b"$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
    b"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
)


def _run(data: bytes) -> None:
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    found = parse(_PATH, data)
    for user in found.users.values():
        assert lines[user.line - 1].removesuffix(b"\r") == f"{user.name}:{user.hash}".encode()
    told = "\n".join(found.warnings)
    for name in found.users:
        told = told.replace(repr(name), "")  # which may look like a hash itself
    assert not any(user.hash in told for user in found.users.values() if user.hash[9:])


def _seeds() -> list[bytes]:
    lines = [f"user{number}:".encode() + one for number, one in enumerate(_HASHES)]
    return [
        b"\n".join(lines) + b"\n",
        *lines,
        b"# comment\r\nzo\xc3\xab:!" + _HASHES[0] + b"\r\n",
        b"\xef\xbb\xbfa:*\n\n",
    ]


TARGET = Target(
    "users_file",
    ("dicomgate_passcode.users_file", "dicomgate_passcode.hashing"),
    _run,
    (ConfigError,),
    _seeds,
    (b"\n", b":", b"$", b"\xe2\x80\xa8", b"\xff\xfe", b"rounds=", b",p=1", b"\r", *_HASHES),
)
