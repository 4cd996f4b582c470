"""A file with users to import: `name,passcode` lines (RFC 4180) and `name:hash` lines (htpasswd) -> entries.

Rule 1: every line is checked before any counts. All problems are reported at once, with their line numbers.
Rule 2: no message quotes the file: if the columns are swapped, the name is the passcode.
Rule 3: a line with a readable hash after its first colon is `name:hash`, even if the name has a comma: a name cannot
        have a colon, so the line cannot be a name and a passcode.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from dicomgate.kit.text import utf_16_problem, without_mark

from .hashing import READABLE, read_cost
from .policy import unfit
from .users_file import LARGEST_FILE, name_problem

# RFC 4180, 2: a field with a comma or a double quote is enclosed in double quotes, and double quotes in it are doubled.
# Python's csv module also takes quotes in the middle of a field, and does not tell whether a field was enclosed.
_FIELD = r'(?:"(?P<quoted_{0}>(?:[^"]|"")*)"|(?P<{0}>[^",]*))'
_CSV = re.compile(_FIELD.format("name") + "," + _FIELD.format("passcode"))

# A hash of any scheme, as in crypt(5) and RFC 2307: the operator meant a hash, so it must not become a passcode.
_HASH = re.compile(r"(?:^|:)(?:\$[\w-]+\$|\{[\w-]+\})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the user, and either a passcode or a hash."""

    name: str
    passcode: bytes = field(default=b"", repr=False)
    hash: str = field(default="", repr=False)


def parse(data: bytes, refused: Collection[str], minimum_length: int) -> tuple[list[Entry], list[str]]:
    """The users, and all problems as lines of text. `refused` are the names of existing users that must not appear."""
    entries: list[Entry] = []
    problems: list[str] = []
    lines: dict[str, int] = {}
    if len(data) > LARGEST_FILE:
        return [], [f"the file is larger than {LARGEST_FILE} bytes"]
    if problem := utf_16_problem(data):
        return [], [f"the file {problem}"]
    # Spreadsheets write a byte order mark. As in the users file, only a line feed ends a line.
    for number, raw in enumerate(without_mark(data).split(b"\n"), start=1):
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
        problems.append("the file has no users")
    return entries, problems


def _parse_line(raw: bytes, minimum_length: int) -> Entry:
    """One user. Raises ValueError with a message fit for a terminal."""
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError:
        # Not the original error: it contains the line, and with it the passcode.
        raise ValueError("not UTF-8; save the file as UTF-8") from None
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
