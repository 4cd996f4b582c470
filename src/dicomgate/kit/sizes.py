"""Sizes as an operator writes them: `512KiB`, `64MiB`, `1GiB`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"([0-9]{1,6})(KiB|MiB|GiB)")


def parse_size(text: object) -> int:
    """Bytes from their text: a whole number and a unit (KiB, MiB or GiB). A number of bytes is returned as it is.

    Raises ValueError, with the accepted forms in the message, for anything else.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a size is a whole number with a unit in quotes: "512KiB", "64MiB", "1GiB"')
    return int(match[1]) * _UNITS[match[2]]


Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({"type": "string", "pattern": f"^{_SIZE.pattern}$"})]
"""For a pydantic model: a size as an operator writes it."""
