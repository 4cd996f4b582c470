"""JSON that every reader understands in the same way (RFC 8259; RFC 7515 4: "Header Parameter names MUST be unique").

Rule: these are errors: a repeated name, NaN and numbers beyond a float (1e400), half of a surrogate pair, a byte order
mark, bytes that are not UTF-8, and deep nesting. Python's own reader accepts most of them.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

_DEEPEST = 16
"""Levels of objects and arrays. Python's own limit depends on its version and on the caller's stack."""


class NotJsonError(ValueError):
    """The data is not a JSON object, or an ambiguous one."""


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`. Raises NotJsonError, whose message repeats nothing of the data."""
    try:
        text = data.decode("utf-8")
        value = _object(_READER.decode(text), text)
        if "\\u" in text:  # else no string has half of a surrogate pair: UTF-8 itself cannot spell it
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except NotJsonError:
        raise
    except UnicodeDecodeError:
        raise NotJsonError("not UTF-8") from None
    except UnicodeEncodeError:
        raise NotJsonError("a string with half of a surrogate pair") from None
    except (ValueError, RecursionError):  # ValueError also for an integer with more digits than Python converts
        raise NotJsonError("not JSON") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJsonError("the same name twice")
    return found


def _object(value: object, text: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotJsonError("not a JSON object")
    if text.count("{") + text.count("[") <= _DEEPEST:  # it is not nested deeper than it has brackets
        return value
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        within = (inner for one in level for inner in (one.values() if isinstance(one, dict) else one))
        level = [one for one in within if isinstance(one, dict | list)]
        if not level:
            return value
    raise NotJsonError("nested too deeply")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJsonError("a number that is too large")
    return value


def _no_number(_: str) -> NoReturn:
    raise NotJsonError("NaN or Infinity, which JSON does not have")


_READER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
