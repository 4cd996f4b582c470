"""docs/radius.md names the keys, the attributes, the limits and the log messages of the code.

Its server configuration is run by freeradius.py, its gateway configuration by test_radius_gateway.py.
"""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import dicomgate_radius
from dicomgate.kit import failover
from dicomgate.testing.pages import rows, section, text
from dicomgate_radius import Radius, conversation
from dicomgate_radius.authenticator import SHORTEST_GOOD
from dicomgate_radius.messages import LONGEST_PASSCODE, LONGEST_VALUE
from plugins.radius.tests.freeradius import PAGE

SOURCES = [*Path(dicomgate_radius.__file__).parent.glob("*.py"), Path(failover.__file__)]
SOURCE = "\n".join(path.read_text("utf-8") for path in SOURCES)


def test_every_key_and_its_default() -> None:
    defaults = {
        "required": "required",
        "the host name": None,
        '`["Filter-Id"]`': ("Filter-Id",),
        '`"1.8s"`': timedelta(seconds=1.8),
        '`"600ms"`': timedelta(seconds=0.6),
    }
    shown = {row[0].strip("`"): defaults[row[2]] for row in rows(section(PAGE, "Configuration"))}
    required = {"servers", "secret_file"}
    assert shown == {
        one.name: "required" if one.name in required else one.default for one in fields(Radius) if one.init
    }


def test_every_attribute_of_a_request() -> None:
    shown = {row[0] for row in rows(section(PAGE, "Requests and answers")) if "-" in row[0]}
    answers = {"Access-Accept", "Access-Reject", "Access-Challenge"}
    assert answers <= shown
    assert shown - answers == set(re.findall(r'packet\["([\w-]+)"\] =', SOURCE)) | {"Message-Authenticator"}


def test_every_message_of_the_log() -> None:
    shown = " ".join(row[1] for row in rows(section(PAGE, "Log messages"))).replace("RADIUS server NAME", "")
    written = [
        part for said in re.findall(r'_?log\.\w+\(\s*"(.*)"', SOURCE) for part in re.split(r"%[.\w]*[dfs]", said)
    ]
    reasons = [getattr(conversation, name) for name in ("_SILENCE", "_UNSIGNED", "_WRONGLY_SIGNED", "_NO_PACKET")]
    assert len(written) > 10
    assert [said for said in (*written, *reasons) if said[:16].removeprefix("RADIUS server ") not in shown] == []


def test_the_limits() -> None:
    words = " ".join(text(PAGE).split())
    assert f"longer than {LONGEST_PASSCODE} bytes" in words
    assert f"more than {LONGEST_VALUE} bytes" in words
    assert f"{SHORTEST_GOOD} bytes or more" in words
    assert f"for {failover.MEMORY:.0f} seconds" in words
