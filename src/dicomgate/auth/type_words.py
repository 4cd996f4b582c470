"""The type of an option in an administrator's words: "text", "duration", "list of paths"."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from itertools import chain
from json import dumps
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_ONE: Mapping[Any, str] = {
    str: "text",
    Path: "path",
    bool: "true or false",
    int: "number",
    float: "number",
    timedelta: "duration",
}
_MANY = {"text": "texts", "path": "paths", "number": "numbers", "duration": "durations", "table": "tables"}
_MODULES = re.compile(r"\b(?:[a-z_]\w*\.)+")


def type_in_words(annotation: Any) -> str:
    """What an annotation allows, in words. None is left out: a key that may be None may be absent."""
    return _either(dict.fromkeys(_kinds(annotation))) or "anything"


def _kinds(annotation: Any) -> Iterable[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (Any, inspect.Parameter.empty, NoneType):
        return ()
    if annotation in _ONE:
        return (_ONE[annotation],)
    if origin is Annotated:
        return _kinds(arguments[0])
    if origin in (Union, UnionType):
        return chain.from_iterable(map(_kinds, arguments))
    if origin is Literal:
        return map(dumps, arguments)
    made = origin or annotation
    if not isinstance(made, type):
        return (_MODULES.sub("", inspect.formatannotation(annotation)),)
    if is_dataclass(made) or issubclass(made, Mapping):
        return ("table",)
    if issubclass(made, Iterable):
        of = _either(dict.fromkeys(_MANY.get(kind, kind) for kind in _kinds(arguments[0]))) if arguments else ""
        return (f"list of {of}" if of else "list",)
    return (made.__name__,)


def _either(kinds: Iterable[str]) -> str:
    *others, last = [*kinds] or [""]
    return f"{', '.join(others)} or {last}" if others else last
