"""docs/jwt.md says what the keys are and what is logged, and its tables make authenticators."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

import dicomgate_jwt
from dicomgate import ConfigError
from dicomgate.kit import fetch as fetching
from dicomgate.kit import refreshed, watched
from dicomgate_jwt import Introspection, Jwt, keys, remote_keys, response, token

PAGE = Path(__file__).parents[3] / "docs" / "jwt.md"
TEXT = PAGE.read_text("utf-8")
WORDS = " ".join(TEXT.split())
FILES = [*Path(dicomgate_jwt.__file__).parent.glob("*.py"), Path(refreshed.__file__), Path(watched.__file__)]
SOURCE = "\n".join(path.read_text("utf-8") for path in FILES)
TABLES = [
    table
    for block in re.findall(r"^```toml ?\w*\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    for table in tomllib.loads(block)["authenticator"]
]


def _rows(head: str, under: str = "") -> list[list[str]]:
    table = re.search(rf"^\| {re.escape(head)} \|.*\n\| ---.*\n((?:\|.*\n)+)", TEXT[TEXT.index(under) :], re.MULTILINE)
    assert table
    return [[cell.strip() for cell in row.strip("| \n").split(" | ")] for row in table[1].splitlines()]


DEFAULTS = {
    "required": "required",
    "none": None,
    "the system's": None,
    "the host name": None,
    "all for that kind of keys": (),
    "empty": {},
    "`[]`": (),
    "`true`": True,
    "`false`": False,
    '`"access"`': "access",
    '`"opaque"`': "opaque",
    '`"sub"`': "sub",
    '`"30s"`': timedelta(seconds=30),
    '`"24h"`': timedelta(hours=24),
    '`"5m"`': timedelta(minutes=5),
    '`"1m"`': timedelta(minutes=1),
    '`"1.5s"`': timedelta(seconds=1.5),
}


@pytest.mark.parametrize(("made", "under"), [(Jwt, "## Configuration"), (Introspection, "### Tokens that only")])
def test_every_key_and_its_default(made: type, under: str) -> None:
    shown = {row[0].strip("`"): DEFAULTS[row[2]] for row in _rows("key", under)}
    assert shown == {name: _default(made, name) for name in inspect.signature(made).parameters}


def _default(made: type, name: str) -> object:
    (one,) = [one for one in fields(made) if one.name == name]
    if one.default_factory is not MISSING:
        return one.default_factory()
    return "required" if one.default is MISSING else one.default


def test_the_tables_of_the_page_make_authenticators(tmp_path: Path) -> None:
    key = generate_private_key(SECP256R1()).public_key()
    (tmp_path / "research.jwks.json").write_text(f'{{"keys": [{jwt.algorithms.ECAlgorithm.to_jwk(key)}]}}')
    (tmp_path / "dicomgate.secret").touch(mode=0o600)
    (tmp_path / "dicomgate.secret").write_text("a secret of the gateway's")
    kinds = {"jwt": Jwt, "introspection": Introspection}
    made = [kinds[table["use"]](**_options(table, tmp_path)) for table in TABLES]
    assert [type(one).__name__ for one in made] == ["Jwt", "Jwt", "Jwt", "Jwt", "Introspection"]
    with pytest.raises(ConfigError, match="audience"):
        Jwt(**{**_options(TABLES[0], tmp_path), "audience": ""})


def _options(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """As the gateway reads them."""
    options = {key: value for key, value in table.items() if key not in ("use", "name")}
    options |= {key: folder / value for key, value in options.items() if key.endswith("_file")}
    return options | ({"maximum_lifetime": timedelta(hours=1)} if "maximum_lifetime" in options else {})


def test_every_message_of_the_log() -> None:
    shown = " ".join(row[1] for row in _rows("level"))
    written = [
        part for text in re.findall(r'_log\.\w+\(\s*"(.*?)"', SOURCE) for part in re.split(r"%[.\w]*[dfs]", text)
    ]
    assert len(written) > 8
    assert [text for text in written if text.strip(" :;")[:12] not in shown] == []


def test_the_figures() -> None:
    assert f"at most {token.LONGEST // 1000} kB" in WORDS
    assert f"at most {fetching.LARGEST // 1024} KiB" in WORDS
    assert f"not within {remote_keys.COOL_DOWN:g} seconds" in WORDS
    assert "a minute later" in WORDS
    assert response.LIFETIME == 60
    assert response.TYPE in WORDS
    assert [name for name in (*keys.PUBLIC_KEY_ALGORITHMS, *keys.SECRET_ALGORITHMS) if f"`{name}`" not in WORDS] == []
