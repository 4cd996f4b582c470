"""The type of an option, in words that an administrator knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from dicomgate.auth.loading import description, find, installed, options
from dicomgate.auth.type_words import type_in_words
from dicomgate.errors import PluginError

WORDS: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    timedelta: "duration",
    Path | None: "path",
    Literal["id", "any"]: '"id" or "any"',
    str | list[str] | None: "text or list of texts",
    Sequence[Path]: "list of paths",
    Sequence[Literal["a", "b", "c"]]: 'list of "a", "b" or "c"',
    Sequence[Any]: "list",
    Mapping[str, str | int]: "table",
    Any: "anything",
}


@pytest.mark.parametrize("annotation", WORDS, ids=str)
def test_a_type_is_told_in_words(annotation: Any) -> None:
    assert type_in_words(annotation) == WORDS[annotation]


def test_no_installed_authenticator_tells_an_administrator_of_python() -> None:
    told = []
    for name in installed():
        try:
            factory = find(name)
        except PluginError:  # its library is missing here
            continue
        told += [description(factory), *(option.type for option in options(factory))]
    assert told
    assert [text for text in told if "Raises" in text or "[" in text or "|" in text] == []
