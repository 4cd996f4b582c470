"""An operator's day with one running gateway: status, sessions, kick, reload, throttle and drain over its socket."""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from dicomgate import Identity, IdentityType
from dicomgate.errors import NegativeAnswer, StartError
from dicomgate.net.dial import Upstream, dialled
from dicomgate.scu.client import Client
from dicomgate.testing.peers.loopback import free_port
from dicomgate.wire.echo import verification_request

ME = f"uid {os.geteuid()} ({pwd.getpwuid(os.geteuid()).pw_name})"


@pytest.fixture
def controlled(gate: Path, pacs: int, configuration: Callable[..., str]) -> Path:
    gate.write_text(f'{configuration(pacs)}[control]\npath = "control.sock"\n')
    return gate


@contextmanager
def association(port: int, user: str, passcode: str) -> Iterator[Client]:
    """An association of this user, for as long as it lasts."""
    identity = Identity(IdentityType.USERNAME_AND_PASSCODE, user.encode(), passcode.encode(), False)
    with Client(dialled(Upstream("gateway", "127.0.0.1", port), 20), time.monotonic() + 20) as client:
        client.associate(verification_request("CT1", "PACS", identity))
        yield client


def ended(client: Client) -> bool:
    try:
        return client.echo() != 0
    except (NegativeAnswer, StartError):
        return True


def test_an_operators_day(
    controlled: Path, serving: Any, run: Any, one_line: Any, passcode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def audit(action: str) -> list[dict[str, Any]]:
        lines = (controlled.parent / "audit.jsonl").read_text().splitlines()
        return [it for it in map(json.loads, lines) if it["event"] == "Operated" and it["action"] == action]

    with serving(controlled) as gateway:
        gateway.wait_for("commands are answered")
        asks = ("--config", controlled)
        port = gateway.port("plain")
        assert f"control: {controlled.parent}/control.sock, for root, the gateway's user" in run("check", *asks).stdout

        with association(port, "alice", passcode) as first, association(port, "alice", passcode) as second:
            with pytest.raises(NegativeAnswer), association(port, 'al"ice', passcode):
                pass
            shown = run("status", *asks).stdout
            assert "pacs\t127.0.0.1:" in shown
            assert '127.0.0.1\tplain\tCT1 -> PACS\t"al\\"ice"\twrong_credential\tstaff: ' in shown
            told = json.loads(run("status", "--json", *asks).stdout)
            assert (told["associations"], told["upstreams"][0]["associations"], told["generation"]) == (2, 2, 1)

            monkeypatch.setattr(
                sys.modules["dicomgate.cli.status"], "sleep", Mock(side_effect=[None, KeyboardInterrupt])
            )
            watched = run("status", "--watch", *asks)
            assert (watched.exit_code, watched.stdout.count(f"{told['node']}: dicomgate ")) == (130, 2)

            listed = [
                json.loads(line) for line in run("sessions", "--user", "alice", "--json", *asks).stdout.splitlines()
            ]
            assert [(it["user"], it["authenticator"], it["calling_ae_title"]) for it in listed] == 2 * [
                ("alice", "staff", "CT1")
            ]
            assert run("sessions", "--user", "bob", *asks).stdout == ""
            shown = run("sessions", *asks).stdout
            assert len(re.findall(r'"alice" \(staff\)\tCT1 -> PACS\tpacs\t0\.0\t\d+ s\t-\n', shown)) == 2

            done = run("kick", listed[0]["id"], "--reason", "hangs", *asks)
            assert (done.exit_code, done.stderr) == (0, "1 ended\n")
            assert (ended(first), ended(second)) == (True, False)
            assert one_line(run("kick", "a1\x1b", *asks), 1) == 'no association is called "a1\\x1b"\n'
            assert run("kick", "--user", "alice", "--for", "10m", *asks).stderr == (
                "1 ended; new ones are refused for 10m\n"
            )
            assert ended(second)
            shown = run("status", *asks).stdout
            assert re.search(rf'\nShut out by an operator\n"alice"\t20\S+Z\t{re.escape(ME)}\n', shown)
        with pytest.raises(NegativeAnswer, match="1,2,1"), association(port, "alice", passcode):
            pass
        assert run("kick", "--user", "alice", "--for", "0s", *asks).stderr == "0 ended; new ones are let in\n"
        with association(port, "alice", passcode) as third:
            assert not ended(third)
        assert one_line(run("kick", "--user", "bob", *asks), 1) == 'user "bob" has no association\n'

        right = controlled.read_text()
        controlled.write_text(right.replace("drain_timeout", "drain_tmeout").replace("called_ae", "caled_ae"))
        wrong = run("reload", *asks)
        assert wrong.exit_code == 2
        assert all(key in wrong.stderr for key in ("gateway.drain_tmeout", "upstream[0].caled_ae_titles"))
        told = json.loads(run("status", "--json", *asks).stdout)
        assert (told["generation"], told["problems"]) == (1, wrong.stderr.splitlines())
        with association(port, "alice", passcode) as fourth:
            assert not ended(fourth), "nothing has changed"
        controlled.write_text(right)
        assert run("reload", *asks).exit_code == 0
        assert json.loads(run("status", "--json", *asks).stdout)["generation"] == 2

        assert any(line.startswith("account:al") for line in run("throttle", "list", *asks).stdout.splitlines())
        assert run("throttle", "clear", "--all", *asks).exit_code == 0
        assert run("throttle", "list", *asks).stdout == ""

        with serving(controlled) as another:
            assert another.finished() == 3
            assert another.count("another gateway is running and listens there") == 1
        with ThreadPoolExecutor() as waiting, association(port, "alice", passcode) as last:
            assert run("drain", *asks).exit_code == 0
            drained = waiting.submit(lambda: run("drain", "--wait", *asks))
            gateway.wait_for("drain, by", 2)
            assert not ended(last)
            last.release()
        assert drained.result().exit_code == 0
        assert gateway.finished() == 0
    assert one_line(run("status", *asks), 3).endswith("it is not running, or its [control] names another path\n")
    assert not (controlled.parent / "control.sock").exists()
    kicked, missed = audit("kick")
    assert (kicked["target"], kicked["by"], kicked["reason"], kicked["problem"]) == (listed[0]["id"], ME, "hangs", "")
    assert missed["problem"] == "there is no such association any more"
    assert [it["problem"][:99] for it in audit("reload")] == [wrong.stderr[:99], ""]
    assert [(it["target"], it["by"]) for it in audit("clear")] == [("all counters", ME)]
    assert [it["reason"] for it in audit("shut out")] == ["for 10m"]
    assert [(it["target"], it["by"]) for it in audit("let in")] == [("alice", ME)]
    assert len(audit("drain")) == 2


def test_an_address_is_taken_out_and_let_in_again(
    controlled: Path, pacs: int, serving: Any, run: Any, one_line: Any, passcode: str
) -> None:
    one, other = f"127.0.0.1:{pacs}", f"127.0.0.2:{free_port()}"
    text = re.sub(r"^address = .*$", f'addresses = ["{one}", "{other}"]', controlled.read_text(), flags=re.MULTILINE)
    controlled.write_text(text)
    with serving(controlled) as gateway:
        gateway.wait_for("commands are answered")
        asks = ("--config", controlled)
        port = gateway.port("plain")
        with association(port, "alice", passcode) as stays:
            assert run("upstream", "pacs", *asks).stdout == f"{one}\tup\t1\t-\t-\n{other}\tup\t0\t-\t-\n"
            shown = run("upstream", "pacs", one, "drain", *asks).stdout
            assert shown == f"{one}\tdrain (operator)\t1\t-\t-\n{other}\tup\t0\t-\t-\n"
            assert not ended(stays)
            for _ in range(3):
                with pytest.raises(NegativeAnswer, match="2,3,1"), association(port, "alice", passcode):
                    pass
            assert run("reload", *asks).exit_code == 0
            shown = run("status", *asks).stdout
            assert re.search(rf"pacs\t{one}\tdrain \(operator\)\t1\t-\t-\n", shown)
            assert re.search(rf"pacs\t{other}\tdown\t0\t\S+Z\tConnection refused\n", shown)
        assert run("upstream", "pacs", one, "ready", *asks).exit_code == 0
        with association(port, "alice", passcode):
            pass
        assert "is none of its addresses: " in one_line(run("upstream", "pacs", "x:1", "down", *asks), 1)
        assert "is none of the configured upstreams" in one_line(run("upstream", "ris", *asks), 1)
        assert "drain, ready or down" in one_line(run("upstream", "pacs", one, *asks), 2)
    told = [json.loads(line) for line in (controlled.parent / "audit.jsonl").read_text().splitlines()]
    deeds = [(it["action"], it["target"], it["by"]) for it in told if it["event"] == "Operated"]
    assert deeds[0] == ("address drain", f"pacs {one}", ME)


def test_without_a_socket_the_commands_say_what_to_write(gate: Path, run: Any, one_line: Any) -> None:
    line = one_line(run("status", "--config", gate), 2)
    assert line.startswith(f"{gate}: names no control socket: write [control] into it")
    gate.write_text("[control")
    assert "not TOML" in one_line(run("kick", "a1", "--config", gate), 2)
    assert "no gateway listens there" in one_line(run("status", "--socket", gate.parent / "x.sock"), 3)
    assert "give the ids" in one_line(run("kick", "--config", gate), 2)
    assert "--for" in one_line(run("kick", "a1", "--for", "1m", "--config", gate), 2)
    assert "such as 10m" in one_line(run("kick", "--user", "alice", "--for", "10", "--config", gate), 2)
    assert "a year at most" in one_line(run("kick", "--user", "alice", "--for", "367d", "--config", gate), 2)
