"""Seeds from files: the corpus that was grown, the project's vectors, and shared corpora where a machine has them.

Rule: what is grown into `fuzz/corpus/` begins with our own inputs: `own_only` leaves the shared corpora out.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SHARED = ROOT.parent / "shared"
_GROWN = Path(__file__).parent / "corpus"
_LONGEST = 65_536
own_only = False


def grown(name: str) -> list[bytes]:
    """The corpus of a target: one input a line, in base64, the shortest first; [] if it has none."""
    path = _GROWN / name
    return [b64decode(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def keep(name: str, inputs: Iterable[bytes]) -> None:
    """Make these the corpus of a target."""
    lines = [b64encode(data).decode() for data in sorted(inputs, key=lambda data: (len(data), data))]
    (_GROWN / name).write_text("".join(f"{line}\n" for line in lines), "ascii")


def vectors() -> list[bytes]:
    """The PDUs of every `associate_rq.json` there is."""
    folders = [ROOT / "tests", *([] if own_only else [_SHARED])]
    paths = [folder / "vectors" / "associate_rq.json" for folder in folders]
    rows = [row for path in paths if path.exists() for row in json.loads(path.read_text("utf-8"))["rows"]]
    return list(dict.fromkeys(bytes.fromhex(row["pdu"]) for row in rows if row.get("pdu")))


def files(*folders: str) -> list[bytes]:
    """The files of these folders of the shared corpora, shortened, in the order of their names; [] without them."""
    if own_only:
        return []
    paths = sorted(path for folder in folders for path in (_SHARED / "corpora" / folder).rglob("*") if path.is_file())
    return [path.read_bytes()[:_LONGEST] for path in paths]
