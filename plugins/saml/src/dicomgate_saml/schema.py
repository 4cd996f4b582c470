"""The schema of SAML 2.0 assertions (saml-schema-assertion-2.0.xsd), as python3-saml brings it along.

It is held against what was verified: nothing of an unknown kind, nothing twice that stands once, order.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import onelogin.saml2
from lxml import etree

from .document import Element, RefusedError

_FOLDER = Path(onelogin.saml2.__file__).parent / "schemas"
_one_at_a_time = Lock()
"""A validator keeps what it found last."""


def check_schema(element: Element, name: str = "saml-schema-assertion-2.0.xsd") -> None:
    """Raises RefusedError, with the schema's own words, if the element is not valid."""
    with _one_at_a_time:
        schema = _load(name)
        if not schema.validate(element):
            said = " ".join(schema.error_log.last_error.message.split()) if len(schema.error_log) else ""
            raise RefusedError(f"not valid by the schema: {ascii(said)[1:161]}")


@cache
def _load(name: str) -> Any:
    return etree.XMLSchema(etree.parse(_FOLDER / name, etree.XMLParser(no_network=True)))
