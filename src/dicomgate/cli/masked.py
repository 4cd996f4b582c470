"""A configuration for strangers' eyes: as it was written, without what may be a secret.

Rule 1: text is left out if its key or its form says that it may be a secret, or its key that it names users, and every
        value of a plugin that does not come with dicomgate: what its keys mean is not known here.
Rule 2: of a URL, user, password and options are left out; and all of it where it is not certain which part is which.
        Of a file, the path is shown and the content is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..auth.kind import AUTHENTICATORS, Kind
from ..auth.loading import how_to_install, installed
from ..auth.table import GATEWAY_KEYS
from ..config.schema import Tables
from ..credentials.table import CREDENTIALS
from ..kit.addresses import show_address
from ..kit.text import looks_like_a_token

LEFT_OUT = "(left out)"
_SECRET = re.compile(r"secret|passw|passcode|passphrase|credential|api_?key|(^|_)token($|_)", re.IGNORECASE)
_FILE = "_file"
_USERS = "users"  # of a rule
_NAME = "credential"  # of an upstream: the name of one
_KINDS = {kind.word: kind for kind in (AUTHENTICATORS, CREDENTIALS)}
_WITH_PASSWORD = re.compile(r":.*@")  # a URL without its scheme


def masked(tables: Tables) -> Iterator[str]:
    """The tables in the form of TOML, one line for each key that the file has."""
    for name, found in tables.model_dump(exclude_unset=True).items():
        for table in found if isinstance(found, list) else [found]:
            ours = name not in _KINDS or _is_ours(table["use"], _KINDS[name])
            yield f"[[{name}]]" if isinstance(found, list) else f"[{name}]"
            for key, value in table.items():
                shown = _shown(key, value) if ours or key in GATEWAY_KEYS else LEFT_OUT
                yield f"{key} = {json.dumps(shown, ensure_ascii=False)}"


def _is_ours(use: str, kind: Kind) -> bool:
    point = installed(kind).get(use)
    return bool(point and point.dist and how_to_install(point.dist.name.removeprefix("dicomgate-")))


def _shown(key: str, value: Any) -> Any:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Mapping):
        return {str(name): _shown(str(name), inner) for name, inner in value.items()}
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int):
        return show_address(*value)
    if isinstance(value, list | tuple):
        return [_shown(key, inner) for inner in value]
    if isinstance(value, str | Path):
        return _text(key, str(value))
    return value


def _text(key: str, value: str) -> str:
    if (_SECRET.search(key) and not key.endswith(_FILE) and key != _NAME) or key == _USERS:
        return LEFT_OUT
    if "://" in value:
        return _url(value)
    return LEFT_OUT if looks_like_a_token(value) or _WITH_PASSWORD.search(value) else value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host = show_address(parts.hostname or "", parts.port) if parts.port else parts.hostname or ""
    except ValueError:
        return LEFT_OUT
    if "@" in value and "@" not in parts.netloc:  # a password with / ? or # in it
        return LEFT_OUT
    rest = f" {LEFT_OUT}" if "@" in parts.netloc or parts.query or parts.fragment else ""
    path = parts.path if not looks_like_a_token(parts.path) else f"/{LEFT_OUT}"
    return f"{parts.scheme}://{host}{path}{rest}"
