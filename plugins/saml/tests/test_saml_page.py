"""docs/saml.md says what the keys are and what is logged, and its table makes an authenticator."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path

import dicomgate_saml
from dicomgate.kit import refreshed, watched
from dicomgate_saml import Saml, document, principal
from plugins.saml.tests.mint import RSA, written

PAGE = Path(__file__).parents[3] / "docs" / "saml.md"
TEXT = PAGE.read_text("utf-8")
WORDS = " ".join(TEXT.split())
FILES = [*Path(dicomgate_saml.__file__).parent.glob("*.py"), Path(refreshed.__file__), Path(watched.__file__)]
SOURCE = "\n".join(path.read_text("utf-8") for path in FILES)
DEFAULTS = {
    "required": "required",
    "none": None,
    "the system's": None,
    "the `entity_id`": None,
    "`[]`": (),
    "`true`": True,
    "`false`": False,
    '`"1m"`': timedelta(minutes=1),
    '`"1h"`': timedelta(hours=1),
    '`"10s"`': timedelta(seconds=10),
}


def _rows(head: str) -> list[list[str]]:
    table = re.search(rf"^\| {re.escape(head)} \|.*\n\| ---.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in row.strip("| \n").split(" | ")] for row in table[1].splitlines()]


def test_every_key_and_its_default() -> None:
    shown = {row[0].strip("`"): DEFAULTS[row[2]] for row in _rows("key")}
    assert shown == {name: _default(name) for name in inspect.signature(Saml).parameters}


def _default(name: str) -> object:
    (one,) = [one for one in fields(Saml) if one.name == name]
    return "required" if one.default is MISSING else one.default


def test_the_table_of_the_page_makes_an_authenticator(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    (table,) = tomllib.loads(block)["authenticator"]
    assert table.pop("use") == "saml"
    assert table.pop("name")
    certificates = [written(tmp_path / name, RSA.pem) for name in table.pop("certificates")]
    assert Saml(**table, certificates=certificates).rules.entity_id == table["entity_id"]


def test_every_message_of_the_log() -> None:
    shown = " ".join(row[1] for row in _rows("level"))
    logged = re.findall(r'_log\.\w+\(\s*"(.*?)"', SOURCE)
    parts = [part for text in logged for part in re.split(r"%[.\w]*[dfs]", text)]
    assert len(parts) > 5
    assert [text for text in parts if text.strip(": ")[:12] not in shown] == []


def test_the_figures_and_the_attributes() -> None:
    assert f"at most {document.LONGEST:,} bytes" in WORDS
    assert [name for name in set(principal._TOLD.values()) if f"`{name}`" not in WORDS] == []
