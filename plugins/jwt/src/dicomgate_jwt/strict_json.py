"""JSON as no two readers can understand it differently (RFC 8259; RFC 7515 4: "Header Parameter names MUST be unique").

Rule: a name that stands twice, what is no number (NaN, 1e400), half of a surrogate pair, a byte order mark, bytes that
are not UTF-8 and nesting deeper than anybody needs are errors. The library's own reader takes most of them.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

_DEEPEST = 16
"""Objects and arrays in each other. Where the library gives up depends on Python's version, and on who calls."""


class NotJsonError(ValueError):
    """It is not a JSON object, or not one that is understood in one way only."""


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`. Raises NotJsonError, whose words repeat nothing of the data."""
    try:
        value = _object(
            json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair has no UTF-8
    except NotJsonError:
        raise
    except UnicodeDecodeError:
        raise NotJsonError("not UTF-8") from None
    except UnicodeEncodeError:
        raise NotJsonError("a string in it is no text: half of a surrogate pair") from None
    except (ValueError, RecursionError):  # ValueError: also an integer of more digits than Python converts
        raise NotJsonError("not JSON") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJsonError("a name stands in it twice")
    return found


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotJsonError("not a JSON object")
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        within = (inner for one in level for inner in (one.values() if isinstance(one, dict) else one))
        level = [one for one in within if isinstance(one, dict | list)]
        if not level:
            return value
    raise NotJsonError("nested too deep")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJsonError("a number in it is too large")
    return value


def _no_number(_: str) -> NoReturn:
    raise NotJsonError("NaN or Infinity, which are no numbers in JSON")
