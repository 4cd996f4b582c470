"""The laws of an authenticator's page, as tests: its tables are what the code does.

class TestPage(AuthenticatorPage):
    page, package = DOCS / "ward.md", dicomgate_ward
    keys = (Keys(Ward),)
    words = {"the system's": None}
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from ..kit.durations import parse_duration
from .pages import table, undocumented_messages

REQUIRED = "required"
"""The default of a key that has none, in a page and in `defaults`."""
_WORDS: Mapping[str, object] = MappingProxyType({"required": REQUIRED, "none": None, "empty": {}})


class Keys(NamedTuple):
    """A page's table of keys: what takes them as keyword arguments, its first head, the heading it is under."""

    made: Callable[..., object]
    head: str = "key"
    under: str = ""


class AuthenticatorPage:
    """Subclass it, with `page` and `package`."""

    page: Path
    package: ModuleType
    keys: tuple[Keys, ...] = ()
    """The page's tables of keys: the key is in the first column, its default in the third."""
    words: Mapping[str, object] = MappingProxyType({})
    """What the page calls a default that it does not write as TOML, besides "required", "none" and "empty"."""
    logs: bool = True
    """The package logs, and the page has a table of its messages."""

    def test_every_key_and_its_default(self) -> None:
        """In the order of the signature, with the value as TOML writes it."""
        for one in self.keys:
            assert list(documented(self.page, one, self.words).items()) == list(defaults(one.made).items())

    def test_every_message_of_the_log(self) -> None:
        """With its level."""
        if self.logs:
            assert undocumented_messages(self.page, self.package) == []


def documented(page: Path, keys: Keys, words: Mapping[str, object]) -> dict[str, object]:
    """The defaults in the page, by key. Raises LookupError for one that is neither TOML nor in `words`."""
    coded = defaults(keys.made)
    return {
        (key := row[0].strip("`")): _value(row[2], {**_WORDS, **words}, coded.get(key))
        for row in table(page, keys.head, keys.under)
    }


def defaults(made: Callable[..., object]) -> dict[str, object]:
    """The default of each keyword argument; `REQUIRED` where there is none."""
    made_by = {one.name: one.default_factory for one in (fields(made) if is_dataclass(made) else ())}
    return {
        name: _default(parameter, made_by.get(name, MISSING))
        for name, parameter in inspect.signature(made).parameters.items()
    }


def _default(parameter: inspect.Parameter, factory: Any) -> object:
    if factory is not MISSING:
        return factory()
    return REQUIRED if parameter.default is parameter.empty else parameter.default


def _value(cell: str, words: Mapping[str, object], coded: object) -> object:
    """A cell as the value that it means; `coded` is the code's, for the types that TOML lacks."""
    if cell in words:
        return words[cell]
    if not cell.startswith("`"):
        raise LookupError(f"{cell!r} is no default")
    value = tomllib.loads(f"value = {cell.strip('`')}")["value"]
    if isinstance(coded, timedelta):
        return parse_duration(value)
    return type(coded)(value) if isinstance(value, list) and isinstance(coded, tuple | frozenset) else value
