"""What pydantic finds wrong with a table, in the words of an administrator.

Rule: no value is repeated, only its kind: it may be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import Problem

Keys = tuple[str | int, ...]

_TRUTH, _WHOLE = "must be true or false, without quotes", "must be a whole number, without quotes"
_LIST, _TABLE = 'must be a list, in square brackets: ["one", "two"]', "must be a table: {{ key = value }}"
_MUST: Mapping[str, str] = {
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "must be a number, without quotes",
    "string_type": "must be text, in quotes",
    "path_type": "must be a path, in quotes",
    "sequence_str": _LIST,
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "is_instance_of_sequence"), _LIST),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), _TABLE),
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "too_short": "must have at least {min_length} entry",
    "too_long": "must have at most {max_length} entries",
}
_KINDS = ((bool, "true or false"), (int, "a number"), (float, "a number"), (str, "text"), (list, "a list"),
          (dict, "a table"))  # fmt: skip
_SHOULD = re.compile(r"^\w+ should\b")
_SINGLE_QUOTED = re.compile(r"'([^']*)'")
_OF_TYPE = ("_type", "_parsing", "int_from_float", "sequence_str", "literal_error")


def nearest(name: str, known: Iterable[str]) -> str:
    """', did you mean ...?' for a mistyped name; "" if no known name is similar."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f", did you mean {near[0]!r}?" if near else ""


def describe_problems(
    error: ValidationError, table: Mapping[str, Any], known_keys: Callable[[Keys], Iterable[str]]
) -> list[Problem]:
    """What is wrong with `table`: one problem for each key.

    `known_keys` returns the keys that are allowed in the table of the key at this path.
    """
    found: dict[Keys, list[str]] = {}
    kinds: dict[Keys, str] = {}
    for finding in error.errors(include_url=False):
        keys = _in_table(finding["loc"], table)
        kind = finding["type"]
        if kind in ("extra_forbidden", "unexpected_keyword_argument"):
            known = list(known_keys(keys))
            what = "unknown table" if _is_table(finding["input"]) else "unknown key"
            message = f"{what}{nearest(str(keys[-1]), known)}; known are: {', '.join(known) or 'none'}"
        elif kind == "missing":
            message = "is missing"
        else:
            message = _in_words(kind, finding["msg"], finding.get("ctx", {}))
            if kind.endswith(_OF_TYPE) and not (kind == "literal_error" and isinstance(finding["input"], str)):
                kinds[keys] = _kind(finding["input"])
        if message not in found.setdefault(keys, []):
            found[keys].append(message)
    return [
        Problem(keys, " or ".join(messages).replace(" or must be", ", or") + kinds.get(keys, ""))
        for keys, messages in found.items()
    ]


def _in_table(location: Keys, table: object) -> Keys:
    """The path of keys in the table: pydantic's has the name of a type, too, where one of several types would do."""
    keys: list[str | int] = []
    for position, step in enumerate(location):
        if isinstance(table, dict) and (step in table or position == len(location) - 1):
            table = table.get(step)
        elif isinstance(table, list) and isinstance(step, int) and step < len(table):
            table = table[step]
        elif keys:
            continue
        keys.append(step)
    return tuple(keys)


def _in_words(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "literal_error":
        return "must be " + _SINGLE_QUOTED.sub(r'"\1"', str(context["expected"]))
    if kind in _MUST:
        return _MUST[kind].format(**context)
    return _SHOULD.sub("must", message.removeprefix("Value error, "))


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _kind(value: object) -> str:
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return "" if kind is str and not value else f"; this is {name}"
    return ""
