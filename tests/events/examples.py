"""One event of each kind, and text that would forge a record or move a cursor."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomgate.events.events import (
    Cause,
    Closed,
    Decided,
    Denied,
    Established,
    Facts,
    Opened,
    Outcome,
    ReasonClass,
    Refused,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
ADDRESS = Facts("a1", "clinical", "192.0.2.1", 50000, via="10.0.0.5", unique_id="C0A8")
CLAIMED = ADDRESS._replace(calling_ae_title="CT1", called_ae_title="PACS", identity_type=2, claimed="alice")
LOGGED_IN = CLAIMED._replace(user="alice.liddell", authenticator="staff")
FACTS = LOGGED_IN._replace(upstream="pacs")
OPENED = Opened(ADDRESS, NOW)
ACCEPTED = Decided(LOGGED_IN, NOW, Outcome.ACCEPT, "", ("ct", "mr"), {"dn": "cn=alice"})
REFUSED = Refused(CLAIMED, NOW, "A-ASSOCIATE-RJ 1,2,1", "staff: wrong passcode", ReasonClass.WRONG_CREDENTIAL)
ESTABLISHED = Established(
    FACTS, NOW, ("1.2.3",), ("1.2.4",), ("a name",), ("store",), "ours", ("GATE", "ARC"), "pacs-b:104", 0.01234
)
DENIED = Denied(FACTS, NOW, "store", "C-STORE-RQ", 'allow = "store"', True, ("readers",))
CLOSED = Closed(FACTS, NOW, Cause.RELEASED, "", 1.23456, 1, 2, 3, 4)
NASTY = [
    "line\nfeed", "carriage\rreturn", "\x1b[2J\x1b]0;title\x07", "para\u2028graph\u2029", "\u202egpj.exe", "nul\x00nul",
    "\x7fdel", "\x85next\x9bline", '","event":"Closed', "\\", "\ud800 alone", "\N{SNOWMAN}", "\U0001f600",
    "\u2066iso\u2069", "\ufeffbom", "{%s}%n$1 %d", "${jndi:ldap://x}", "x" * 999,
]  # fmt: skip
_BLNS = Path(__file__).parents[3] / "shared" / "corpora" / "naughty-strings" / "blns.json"


def naughty() -> list[str]:
    """The big list of naughty strings; the test is skipped without it."""
    if not _BLNS.exists():
        pytest.skip(f"the big list of naughty strings is not there: {_BLNS}")
    strings = json.loads(_BLNS.read_text("utf-8"))
    assert len(strings) > 500
    return [str(it) for it in strings]


def printable(text: str | bytes) -> bool:
    """Printable ASCII and line ends, nothing else."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in data)
