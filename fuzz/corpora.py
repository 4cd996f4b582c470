"""Seeds from files: the project's vectors, and shared corpora where a machine has them beside the project."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SHARED = ROOT.parent / "shared"
_LONGEST = 65_536


def vectors() -> list[bytes]:
    """The PDUs of every `associate_rq.json` there is."""
    files = [folder / "vectors" / "associate_rq.json" for folder in (ROOT / "tests", _SHARED)]
    rows = [row for path in files if path.exists() for row in json.loads(path.read_text("utf-8"))["rows"]]
    return list(dict.fromkeys(bytes.fromhex(row["pdu"]) for row in rows if row.get("pdu")))


def files(*folders: str) -> list[bytes]:
    """The files of these folders of the shared corpora, shortened, in the order of their names; [] without them."""
    paths = sorted(path for folder in folders for path in (_SHARED / "corpora" / folder).rglob("*") if path.is_file())
    return [path.read_bytes()[:_LONGEST] for path in paths]
