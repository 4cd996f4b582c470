"""docs/radius.md names the keys, the attributes, the limits and the log messages of the code.

`dicomgate.testing.peers.freeradius` runs its server configuration, test_radius_gateway.py its gateway configuration.
"""

from __future__ import annotations

import re
from inspect import getsource

import dicomgate_radius
from dicomgate.kit import failover
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.pages import rows, section, table, text
from dicomgate.testing.peers.freeradius import PAGE
from dicomgate_radius import Radius, conversation, messages
from dicomgate_radius.authenticator import SHORTEST_GOOD


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_radius
    keys = (Keys(Radius),)
    words = {"the host name": None}  # noqa: RUF012 (as its base has it)


def test_every_attribute_of_a_request() -> None:
    shown = {row[0] for row in table(PAGE, "attribute of the Access-Request")}
    assert shown == set(re.findall(r'packet\["([\w-]+)"\] =', getsource(messages))) | {"Message-Authenticator"}


def test_every_reason_why_there_is_no_answer() -> None:
    shown = " ".join(row[1] for row in rows(section(PAGE, "Log messages")))
    reasons = [getattr(conversation, name) for name in ("_SILENCE", "_UNSIGNED", "_WRONGLY_SIGNED", "_NO_PACKET")]
    assert [reason for reason in reasons if reason[:16] not in shown] == []


def test_the_limits() -> None:
    words = " ".join(text(PAGE).split())
    assert f"longer than {messages.LONGEST_PASSCODE} bytes" in words
    assert f"more than {messages.LONGEST_VALUE} bytes" in words
    assert f"{SHORTEST_GOOD} bytes or more" in words
    assert f"for {failover.MEMORY:.0f} seconds" in words
