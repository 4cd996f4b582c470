"""What is wrong with a file that is not TOML, in the words of an administrator, with line and column.

The library says what it expected; here the text at that place says what was probably meant. The text itself is not
repeated: it may be a secret without its quotes.
"""

from __future__ import annotations

import re

_POSITION = re.compile(r"(.*) \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)", re.DOTALL)
_TYPOGRAPHIC = re.compile("[\u2018-\u201f\u2032\u2033\u00ab\u00bb\u2039\u203a]")
_KEY = re.compile(r"\s*([\w.-]+)\s*[:=]")
_NOT_LOWER = re.compile(r"(?i:true|false)\b|(?i:yes|no|on|off)\s*(?:#.*)?$")
_UNQUOTED = re.compile(r"[\w/.*~-]")

_OPEN_QUOTES = ("Illegal character '\\n'", "Unterminated string")

_WORDS = (
    ("Unescaped '\\'", "a backslash begins an escape in double quotes: write the text in single quotes, or with /"),
    ("Expected '=' after a key", "write a key and its value as: key = value"),
    ("Cannot overwrite a value", "this key is there twice in its table"),
    ("Cannot declare", "this table is there twice: where there may be several, write double brackets, [[like_this]]"),
    ("Illegal character '\\n'", "the quotes of this text are not closed on its line"),
    ("Unterminated string", "the quotes of this text are not closed"),
    ("Expected newline or end of document", "more follows on this line: one key on each line"),
    ("Unclosed array", "a list is not closed: its ] is missing, or a comma"),
    ("Unclosed inline table", "a table is not closed: its } is missing, or a comma"),
)


def describe(error: Exception, text: str) -> tuple[int | None, str]:
    """The line, if the library names one, and what is wrong with it."""
    found = _POSITION.fullmatch(str(error))
    if found is None:
        return None, f"not TOML: {error}"
    if found[2] is None:
        return None, f"not TOML: {_words(found[1], '', '')} (at the end of the file)"
    number, column = int(found[2]), int(found[3])
    lines = text.split("\n")
    line = lines[number - 1] if number <= len(lines) else ""
    mark = _TYPOGRAPHIC.search(line)
    # In a comment, or between straight quotes, it is no mistake.
    if mark and (mark.start() == column - 1 or found[1].startswith(_OPEN_QUOTES)):
        why = f"a typographic quotation mark, {mark[0]}: write straight ones, \" or '"
        return number, f"not TOML: {why} (column {mark.start() + 1})"
    return number, f"not TOML: {_words(found[1], line, line[column - 1 :])} (column {column})"


def _words(said: str, line: str, rest: str) -> str:
    """What the library says, or what was probably meant; `rest` is the line from the place on."""
    if said == "Invalid value":
        key = _KEY.match(line)
        name = key[1] if key else "key"
        if _NOT_LOWER.match(rest):
            return f"{name} = true or {name} = false, in lower case, without quotes"
        if not rest.strip() or rest.startswith("#"):
            return f"{name} has no value"
        if _UNQUOTED.match(rest):
            return f'text must be in quotes: {name} = "..."'
    return next((words for begin, words in _WORDS if said.startswith(begin)), said)
