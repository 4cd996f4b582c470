"""What the gateway of the demonstration says: its log, in a file, and its audit."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .folder import AUDIT, LOG

_LOGGER = logging.getLogger("dicomgate")
_PATIENCE = 5.0  # seconds; the audit has a record some milliseconds after the peer has its answer


@contextmanager
def gateway_log(folder: Path) -> Iterator[None]:
    """Send what the gateway logs to a file in the folder, and nowhere else."""
    level, propagate = _LOGGER.level, _LOGGER.propagate
    handler = logging.FileHandler(folder / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagate
        handler.close()


def audited(folder: Path, count: int) -> list[str]:
    """What the audit says of the first `count` associations, in their order; "" where it says nothing."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        lines = (folder / AUDIT).read_text("ascii").splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        opened = [record["id"] for record in records if record["event"] == "Opened"][:count]
        closed = {record["id"] for record in records if record["event"] == "Closed"}
        if (len(opened) == count and closed.issuperset(opened)) or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    told = dict.fromkeys(opened, "")
    for record in records:
        if record["id"] in told:
            match record["event"]:
                case "Decided" if record["outcome"] == "accept":
                    told[record["id"]] = f"accepted by {record['authenticator']} as {record['user']}"
                case "Refused":
                    told[record["id"]] = record["reason"]
    return [*told.values(), *[""] * (count - len(told))]
