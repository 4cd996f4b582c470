"""docs/radius.md says what the keys are, what is asked, and what is logged. The rest of it is run elsewhere:
its server by freeradius.py, its configuration by test_radius_gateway.py.
"""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import dicomgate_radius
from dicomgate_radius import Radius, conversation
from dicomgate_radius.authenticator import SHORTEST_GOOD
from dicomgate_radius.messages import LONGEST_PASSCODE, LONGEST_VALUE
from plugins.radius.tests.freeradius import PAGE

TEXT = PAGE.read_text("utf-8")
SOURCE = "\n".join(path.read_text("utf-8") for path in Path(dicomgate_radius.__file__).parent.glob("*.py"))


def _rows(head: str) -> list[list[str]]:
    table = re.search(rf"^\| {re.escape(head)} \|.*\n\| ---.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in row.split(" | ")] for row in table[1].replace("|\n", "\n").splitlines()]


def test_every_key_and_its_default() -> None:
    defaults = {
        "required": "required",
        "the host name": None,
        '`["Filter-Id"]`': ("Filter-Id",),
        '`"1.8s"`': timedelta(seconds=1.8),
        '`"600ms"`': timedelta(seconds=0.6),
    }
    shown = {row[0].strip("|` "): defaults[row[2]] for row in _rows("key")}
    required = {"servers", "secret_file"}
    made = {one.name: "required" if one.name in required else one.default for one in fields(Radius) if one.init}
    assert shown == made


def test_every_attribute_of_a_request() -> None:
    shown = {row[0].strip("| ") for row in _rows("attribute of the Access-Request")}
    written = set(re.findall(r'packet\["([\w-]+)"\] =', SOURCE)) | {"Message-Authenticator"}
    assert shown == written


def test_every_message_of_the_log() -> None:
    shown = " ".join(row[1] for row in _rows("level"))
    written = [part for text in re.findall(r'_log\.\w+\(\s*"(.*)"', SOURCE) for part in re.split(r"%[.\w]*[dfs]", text)]
    reasons = [getattr(conversation, name) for name in ("_SILENCE", "_UNSIGNED", "_WRONGLY_SIGNED", "_NO_PACKET")]
    assert len(written) > 10
    assert [text for text in (*written, *reasons) if text[:16] not in shown] == []


def test_the_limits() -> None:
    words = " ".join(TEXT.split())
    assert f"longer than {LONGEST_PASSCODE} bytes" in words
    assert f"more than {LONGEST_VALUE} bytes" in words
    assert f"{SHORTEST_GOOD} bytes or more" in words
