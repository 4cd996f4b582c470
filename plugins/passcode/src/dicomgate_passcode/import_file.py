"""A file with users to be imported: `name,passcode` lines as in RFC 4180, and `name:hash` lines as in htpasswd files.

Rule 1: every line is checked before the first one counts. All that is wrong is told, with the number of the line.
Rule 2: no message quotes anything of the file: where columns are swapped, the name is the passcode.
Rule 3: a line is `name:hash` if a readable hash is behind its first colon. A name has no colon, so such a line with a
        comma in the name is one too, and is never taken for a name and a passcode.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from dicomgate import ConfigError

from .hashing import READABLE, read_cost
from .policy import unfit
from .users_file import LARGEST_FILE, name_problem

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# RFC 4180, 2: a field with a comma or a double quote in it stands in double quotes, and those in it are doubled.
_FIELD = r'(?:"(?P<quoted_{0}>(?:[^"]|"")*)"|(?P<{0}>[^",]*))'
_CSV = re.compile(_FIELD.format("name") + "," + _FIELD.format("passcode"))

# Hashes of whatever scheme, as in crypt(5) and RFC 2307: somebody meant a hash, and would get a passcode.
_HASH = re.compile(r"(?:^|:)(?:\$[\w-]+\$|\{[\w-]+\})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the user, and a passcode or, in its place, a hash."""

    name: str
    passcode: bytes = field(default=b"", repr=False)
    hash: str = field(default="", repr=False)


def read(source: str) -> bytes:
    """The content of the file, or of standard input for `-`. Raises ConfigError."""
    try:
        if source == "-":
            data = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST_FILE:
        raise ConfigError(f"{source}: larger than {LARGEST_FILE} bytes")
    return data


def parse(data: bytes, refused: Collection[str], minimum_length: int) -> tuple[list[Entry], list[str]]:
    """The users, and everything that is wrong; `refused` are the names that may not be there."""
    entries: list[Entry] = []
    problems: list[str] = []
    lines: dict[str, int] = {}
    # Spreadsheets write a byte order mark. Lines end as in the users file, at a line feed and nowhere else.
    for number, raw in enumerate(data.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), start=1):
        line = raw.removesuffix(b"\r")
        if not line or line.startswith(b"#"):
            continue
        try:
            entry = _parse_line(line, minimum_length)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        first = lines.setdefault(entry.name, number)
        if first != number:
            problems.append(f"line {number}: the user is already on line {first}")
        elif entry.name in refused:
            problems.append(f"line {number}: the user exists already; --replace gives a new passcode")
        else:
            entries.append(entry)
    if not entries and not problems:
        problems.append("there is no user to be imported")
    return entries, problems


def _parse_line(raw: bytes, minimum_length: int) -> Entry:
    """One user. Raises ValueError with a message that is fit for a terminal."""
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None  # the error carries the line, and with it the passcode
    name, _, text = line.partition(":")
    if read_cost(text) is not None:
        entry = Entry(name, hash=text)
    elif match := _CSV.fullmatch(line):
        passcode = _field(match, "passcode")
        if _HASH.search(passcode):
            raise ValueError(
                f"a hash in the place of the passcode; a line is name:hash, of a readable scheme ({READABLE})"
            )
        if match["passcode"] and passcode != passcode.strip():
            raise ValueError(
                "a space at an end of the passcode; if it belongs there, put the passcode in double quotes"
            )
        entry = Entry(_field(match, "name"), passcode=passcode.encode())
    else:
        raise ValueError(f"neither name,passcode nor name:hash with a hash of a readable scheme ({READABLE})")
    problem = name_problem(entry.name) or (not entry.hash and unfit(entry.passcode, entry.name, minimum_length))
    if problem:
        raise ValueError(problem)
    return entry


def _field(match: re.Match[str], name: str) -> str:
    quoted = match[f"quoted_{name}"]
    return match[name] if quoted is None else quoted.replace('""', '"')
