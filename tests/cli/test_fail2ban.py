"""deploy/fail2ban finds the address of whoever guesses, in lines of a real gateway, and nobody else's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.pages import ROOT
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RawClient, login, request

FILTER = ROOT / "deploy" / "fail2ban" / "filter.d" / "dicomgate.conf"
REGEX = shutil.which("fail2ban-regex")
LIE = "x WARNING 69b6fe7355e9: login refused: 203.0.113.9 port 1, listener"


@pytest.mark.skipif(REGEX is None, reason="fail2ban is not installed (apt-get install fail2ban)")
@pytest.mark.parametrize("journal", [False, True], ids=["file", "journal"])
def test_failed_logins_are_found_and_nothing_else(journal: bool, tmp_path: Path, gate: Path, serving: Any) -> None:
    with serving(gate) as gateway:
        gateway.wait_for("listening on")
        address = "127.0.0.1", gateway.port("plain")
        for source, identity, answer in (
            ("127.0.0.2", login("alice", b"wrong"), REFUSED_IDENTITY),  # guesses
            ("127.0.0.3", login(LIE, b"wrong"), REFUSED_IDENTITY),  # guesses, and blames another
            ("127.0.0.4", None, REFUSED_IDENTITY),  # sends no identity
        ):
            with RawClient(address, source=source) as client:
                assert client.ask(request(*[identity] if identity else [], called=b"PACS")) == answer
        gateway.wait_for(": login refused: ", times=2)
        gateway.wait_for(": refused: ")
        lines = [line for line in gateway.lines if "refused: " in line]
    (guess,) = (line for line in lines if "127.0.0.2" in line)
    lines.append(guess.replace("127.0.0.2", "fe80::7%eth0"))  # as the system shows a neighbour on the same link
    shown = tmp_path / "gateway.log"
    shown.write_text("".join(f"{'gate1 dicomgate[4242]: ' * journal}{line}\n" for line in lines))
    command = [str(REGEX), "--out", "<ip>", str(shown), str(FILTER)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == ["127.0.0.2", "127.0.0.3", "fe80::7"], found
