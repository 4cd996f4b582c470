"""The records of the audit as JSON, one object a line, for other programs to keep and search.

Every string is cut to 256 characters and written in ASCII: no newline, escape sequence or right-to-left override in a
username can forge a record or mislead a terminal. A record is made when the event happens, in the event loop, and
written later (events/backlog.py): made in the thread, it would hold up the loop just as long, but at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from types import NoneType
from typing import Any, TypeAlias

from .events import Event, Facts, Lost, Operated
from .moments import moment

_LONGEST = 256
_MOST_LINES = 1_024

_Encode: TypeAlias = Callable[[Any], str]


def record(event: Event) -> dict[str, object]:
    """What the audit says of one event: its kind, what is known of the association, the event's own fields."""
    found: dict[str, object] = json.loads(line_of_event(event))
    return found


def line_of_event(event: Event, head: str = "") -> str:
    """The JSON object of one event, as a line; `head` is what stands behind its kind."""
    (association, listener, address, port, *others, unique_id), *own = event
    line = _line(event.__class__, head, listener, address, *others)  # type: ignore[arg-type]  # a class is hashable
    return line % (*[_ENCODE[value.__class__](value) for value in (association, port, unique_id, *own)],)


def line_of(record: Lost | Operated, node: str) -> str:
    """The line of a record that is about no association."""
    return f"{_object({'event': type(record).__name__, 'node': node, **asdict(record)})}\n"


def text(value: str) -> str:
    """Text as JSON in ASCII, cut after 256 characters."""
    return encode_basestring_ascii(value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…")


def _texts(values: Collection[str]) -> str:
    return f"[{', '.join(map(text, values))}]" if values else "[]"


def _object(values: Mapping[str, object]) -> str:
    pairs = [f"{text(name)}: {_ENCODE[value.__class__](value)}" for name, value in values.items()]
    return f"{{{', '.join(pairs)}}}"


class _Encoders(dict[type, _Encode]):
    """How a value becomes JSON, by its class. An association writes some 45; json.dumps would take twice as long."""

    def __missing__(self, kind: type) -> _Encode:
        """A subclass is written as its base."""
        self[kind] = encode = next(encode for base, encode in _BY_BASE if issubclass(kind, base))
        return encode


_BY_BASE: tuple[tuple[type, _Encode], ...] = (
    (str, text),
    (bool, lambda value: "true" if value else "false"),  # before int, which it is, too
    (int, int.__repr__),
    (float, lambda value: f"{value:.3f}"),
    (NoneType, lambda _: "null"),
    (datetime, lambda value: f'"{moment(value)}"'),
    (Enum, lambda value: text(value._value_)),  # `value` is a property in Python
    (Mapping, _object),
    (Collection, _texts),
)
_ENCODE = _Encoders(_BY_BASE)


_SAME = [name for name in Facts._fields if name not in ("id", "port", "unique_id")]


@lru_cache(_MOST_LINES)
def _line(kind: type[Event], head: str, *same: str | int | None) -> str:
    """The lines of one device, which comes again and again, with %s for all that is not the same each time."""
    members = dict.fromkeys((*Facts._fields, *kind._fields[1:]), "%s")
    members |= {
        name: _ENCODE[value.__class__](value).replace("%", "%%") for name, value in zip(_SAME, same, strict=True)
    }
    pairs = ", ".join(f'"{name}": {value}' for name, value in members.items())
    return f'{{"event": "{kind.__name__}"{head.replace("%", "%%")}, {pairs}}}\n'
