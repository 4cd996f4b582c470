"""How text from outside may appear in a log line, an audit record or a name."""

from __future__ import annotations

LONGEST_NAME = 256
_LONGEST_QUOTED = 80


def is_name(value: object, longest: int = LONGEST_NAME) -> bool:
    """True if the value can name a user or a group: 1 to `longest` printable characters, no space at either end."""
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() and value == value.strip()


def quoted(value: object, longest: int = _LONGEST_QUOTED) -> str:
    """A value from outside for a log line: its `ascii`, cut after `longest` characters."""
    text = ascii(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def one_line(text: str) -> str:
    """The text with every unprintable character escaped: controls, line ends, marks that change the direction."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )
