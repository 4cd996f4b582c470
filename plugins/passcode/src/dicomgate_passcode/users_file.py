"""The users file: htpasswd lines, `user:hash` -> users, every line checked.

Rule 1: what two programs could read differently refuses the whole file: a line without a colon, a user twice, spaces
        around a name, bytes that are not UTF-8, a hash that is cut off. A byte order mark, which editors write unasked,
        is ignored.
Rule 2: a line whose hash is of no readable scheme is a user who cannot log in, and a warning. `!` or `*` before the
        hash disables a user.
Rule 3: a file that everybody may write is refused.
Rule 4: messages name the path, the line and the user, never the hash.
"""

from __future__ import annotations

import stat
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import read_with_mode
from dicomgate.kit.text import utf_16_problem, without_mark

from .hashing import READABLE, Cost, foreign_scheme, read_cost

LONGEST_NAME = 255
LARGEST_FILE = 16 * 1024 * 1024
"""In bytes: enough for more than a hundred thousand users."""

_MOST_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class User:
    """One line. `cost` is None for a user who cannot log in; `line` counts from 1."""

    name: str
    hash: str = field(repr=False)
    line: int
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class UsersFile:
    """All users by name, and warnings for the log."""

    users: Mapping[str, User]
    warnings: tuple[str, ...]


def read_users_file(path: Path) -> UsersFile:
    """Read and check the file. Raises ConfigError; its cause is the OSError if the file could not be read."""
    return parse(path, *read_with_mode(path, LARGEST_FILE))


def parse(path: Path, data: bytes, mode: int = 0o600) -> UsersFile:
    """The users of a file with this content and mode. Raises ConfigError: one line that names every wrong one."""
    if problem := utf_16_problem(data):
        raise ConfigError(f"{path}: {problem}")
    users: dict[str, User] = {}
    problems: list[str] = []
    warnings: list[str] = []
    # Not splitlines, which also splits at a lone carriage return: other programs that read the file do not.
    for number, raw in enumerate(without_mark(data).split(b"\n"), start=1):
        try:
            user = _parse_line(raw.removesuffix(b"\r"), number)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        if user is None:
            continue
        if user.name in users:
            first = users[user.name].line
            problems.append(f"line {number}: user {user.name!r} is already on line {first}")
            continue
        users[user.name] = user
        if user.cost is None:
            warnings.append(f"{path}, line {number}: user {user.name!r} cannot log in: {why_not(user.hash)}")
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        said = "; ".join(problems[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise ConfigError(f"{path}, {said}")
    if not users:
        warnings.append(f"{path}: no users, so all logins will fail")
    if mode & stat.S_IROTH:
        warnings.append(f"{path}: everybody may read the hashes; chmod o-r")
    return UsersFile(users, tuple(warnings))


def _parse_line(raw: bytes, number: int) -> User | None:
    """One line; None for an empty one and a comment. Raises ValueError with a message fit for a log."""
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError:
        # Not the original error: it contains the line, and with it the hash.
        raise ValueError("not UTF-8; save the file as UTF-8") from None
    if not line or line.startswith("#"):
        return None
    name, colon, text = line.partition(":")
    if not colon:
        raise ValueError("no colon; a line is user:hash")
    problem = name_problem(name)
    if problem:
        raise ValueError(problem)
    return User(name, text, number, read_cost(text))


def name_problem(name: str) -> str:
    """Why this cannot be the name of a user in the file; empty if it can."""
    if not name:
        return "the user has no name"
    if name != name.strip():
        return "the name of the user begins or ends with a space"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        return "the name of the user has a control character"
    if ":" in name:
        return "the name of the user has a colon"
    if name.startswith("#"):
        return "the name of the user begins with #, which begins a comment"
    if len(name.encode()) > LONGEST_NAME:
        return f"the name of the user is longer than {LONGEST_NAME} bytes"
    return ""


def is_disabled(text: str) -> bool:
    """True for what stands in the place of a hash if the user is disabled."""
    return text.startswith(("!", "*"))


def why_not(text: str) -> str:
    """Why nobody can log in with what is in the place of a hash, which `read_cost` cannot read."""
    if is_disabled(text):
        return "disabled"
    return f"the scheme of its hash is {foreign_scheme(text)}, none of those that are read ({READABLE})"
