from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest


def _held(port: int) -> socket.socket:
    """A connection that occupies the gateway: an association under way that says nothing."""
    return socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_when_it_is_told(number: signal.Signals, gate: Path, serving: Any) -> None:
    with serving(gate) as gateway:
        gateway.wait_for("listening on")
        port = gateway.port("plain")
        assert gateway.end(number) == 0
        assert gateway.count(f"{number.name}: draining") == 1
        with pytest.raises(ConnectionRefusedError):
            _held(port)


def test_serve_waits_for_associations_until_it_is_told_again(gate: Path, serving: Any) -> None:
    with serving(gate, "--log-level", "debug") as gateway:
        gateway.wait_for("listening on")
        with _held(gateway.port("plain")):
            gateway.wait_for(": connected: ")
            gateway.process.send_signal(signal.SIGTERM)
            gateway.wait_for("draining: 1 associations")
            assert gateway.process.poll() is None
            assert gateway.end() == 0
        assert gateway.count("SIGTERM again: ending at once") == 1


def test_sighup_takes_the_configuration_anew_or_leaves_it(gate: Path, serving: Any, run: Any, passcode: str) -> None:
    with serving(gate) as gateway:
        gateway.wait_for("listening on")
        right = gate.read_text()
        port = gateway.port("plain")
        gate.write_text(right + "nonsense = 1\n")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("reload: the configuration is as it was before")
        assert gateway.count("nonsense") == 1
        gate.write_text(right.replace('called_ae_titles = ["PACS"]', 'called_ae_titles = ["OTHER"]'))
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("reload: new associations use the configuration as it is now")
        ask = ("echo", f"127.0.0.1:{port}", "--user", "alice", "--called")
        assert "1,1,7" in run(*ask, "PACS", stdin=passcode).stderr
        assert "2,3,1" in run(*ask, "OTHER", stdin=passcode).stderr  # routed; there is no PACS at its port
        assert gateway.end() == 0


def test_a_secret_of_kubernetes_that_changes_is_loaded(gate: Path, serving: Any, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    right = gate.read_text().replace("[gateway]", '[gateway]\nreload_on_change = "100ms"', 1)

    def becomes(number: int, text: str) -> None:
        """As kubelet does it: the files are in a folder of their own, and the link to that is exchanged."""
        data = volume / f"..{number}"
        data.mkdir()
        (data / gate.name).write_text(text)
        (data / "users.htpasswd").write_bytes((tmp_path / "users.htpasswd").read_bytes())
        (data / "users.htpasswd").chmod(0o600)
        (volume / "..new").symlink_to(data.name)
        (volume / "..new").rename(volume / "..data")

    becomes(1, right)
    for name in (gate.name, "users.htpasswd"):
        (volume / name).symlink_to(f"..data/{name}")
    with serving(volume / gate.name) as gateway:
        gateway.wait_for("listening on")
        becomes(2, right.replace('"PACS"', '"OTHER"'))
        gateway.wait_for("reload: new associations use the configuration as it is now")
        becomes(3, right + "nonsense = 1\n")
        gateway.wait_for("reload: the configuration is as it was before")
        assert gateway.end() == 0
    records = [json.loads(line) for line in (volume / "audit.jsonl").read_text().splitlines()]
    taken, refused = [record for record in records if record["event"] == "Operated"]
    assert taken["by"] == refused["by"] == "reload_on_change"
    assert taken["reason"] == f"changed: {volume}/{gate.name}, {volume}/users.htpasswd"
    assert (taken["problem"], "nonsense" in refused["problem"]) == ("", True)


def test_a_broken_configuration_is_said_with_all_that_is_wrong(gate: Path, serving: Any) -> None:
    gate.write_text(gate.read_text().replace("drain_timeout", "drain_timeuot").replace('"PACS"', '"A\\\\B"'))
    with serving(gate, "--log-format", "json") as gateway:
        assert gateway.finished() == 2
    records = [json.loads(line) for line in gateway.lines]
    wrong = [record["message"] for record in records if record["level"] == "ERROR"]
    assert [f"{gate}:{line}: {key}" in message for line, key, message in zip(
        (3, 11), ("gateway.drain_timeuot: unknown key, did you mean 'drain_timeout'?", "upstream[0].called_ae_titles"),
        wrong, strict=True,
    )] == [True, True], wrong  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "what"), [(lambda users: users.unlink(), "No such file"), (lambda users: users.chmod(0o666), "writ")]
)
def test_a_users_file_that_does_not_serve_stops_the_start(damage: Any, what: str, gate: Path, serving: Any) -> None:
    damage(gate.parent / "users.htpasswd")
    with serving(gate) as gateway:
        assert gateway.finished() == 2
    assert f"ERROR {gate}:" in gateway.lines[-1]
    assert "authenticator[0]" in gateway.lines[-1]
    assert what in gateway.lines[-1]


def test_no_passcode_shows_at_debug_level(gate: Path, serving: Any, run: Any, pacs: int, passcode: str) -> None:
    gate.write_text(gate.read_text().replace("127.0.0.1:1", f"127.0.0.1:{pacs}"))
    with serving(gate, "--log-level", "debug", environment={"PYTHONASYNCIODEBUG": "1"}) as gateway:
        gateway.wait_for("listening on")
        where = f"127.0.0.1:{gateway.port('plain')}"
        for stdin, status in ((passcode, 0), (f"{passcode}-wrong", 1)):
            result = run("echo", where, "--user", "alice", "--called", "PACS", stdin=stdin)
            assert result.exit_code == status
            assert passcode not in result.output
        gateway.wait_for(": closed (", times=2)
        command_line = Path(f"/proc/{gateway.process.pid}/cmdline").read_bytes()
        assert gateway.end() == 0
    audit = (gate.parent / "audit.jsonl").read_text()
    assert audit.count("alice") > 1  # the users are there, so the passcodes could be
    for text in ("\n".join(gateway.lines), audit, command_line.decode()):
        assert passcode not in text


@pytest.fixture
def login(gate: Path, configuration: Any, distribution: Any) -> Any:
    """Write an authenticator, and a configuration that uses it; the environment in which it is installed."""

    def write(source: str) -> dict[str, str]:
        site = distribution(source, "[dicomgate.authenticators]\nacme = acme_login:Login\n")
        gate.write_text(configuration(authenticators='[[authenticator]]\nuse = "acme"\ntimeout = "100ms"\n'))
        return {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}

    return write


HANGING = {
    "thread": """
import threading, time
class Login:
    def authenticate(self, attempt):
        threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
        time.sleep(600)
""",
    "task": """
import asyncio
class Login:
    async def authenticate(self, attempt):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
""",
}


@pytest.mark.parametrize("kind", HANGING)
def test_an_authenticator_that_hangs_does_not_keep_the_gateway(
    kind: str, gate: Path, login: Any, serving: Any, run: Any, passcode: str
) -> None:
    with serving(gate, environment=login(HANGING[kind])) as gateway:
        gateway.wait_for("listening on")
        where = f"127.0.0.1:{gateway.port('plain')}"
        result = run("echo", where, "--user", "alice", "--called", "PACS", stdin=passcode)
        assert "2,2,1" in result.stderr
        assert gateway.end() == 0
        assert gateway.count("the process ends without it") == 1


def test_a_reload_that_hangs_does_not_keep_the_gateway(gate: Path, login: Any, serving: Any) -> None:
    environment = login(
        "import logging, time\n"
        "made = []\n"
        "class Login:\n"
        "    def __init__(self):\n"
        "        made.append(self)\n"
        "        if len(made) == 2:\n"
        "            logging.getLogger('acme_login').info('hanging')\n"
        "            time.sleep(600)\n"
        "    def authenticate(self, attempt): ...\n"
    )
    with serving(gate, environment=environment) as gateway:
        gateway.wait_for("listening on")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("hanging")
        assert gateway.end() == 0
        assert gateway.count("the process ends without it") == 1


def test_a_start_that_hangs_can_be_ended(gate: Path, login: Any, serving: Any) -> None:
    environment = login(
        "import asyncio, logging\n"
        "class Login:\n"
        "    async def __aenter__(self):\n"
        "        logging.getLogger('acme_login').info('hanging')\n"
        "        await asyncio.sleep(600)\n"
        "    async def __aexit__(self, *error): ...\n"
        "    async def authenticate(self, attempt): ...\n"
    )
    with serving(gate, environment=environment) as gateway:
        gateway.wait_for("hanging")
        assert gateway.end() == 0
        assert gateway.count("listening on") == 0


ENTERED = """
import asyncio, logging
log = logging.getLogger('acme_login')
class Login:
    async def __aenter__(self):
        log.info('entered')
    async def __aexit__(self, *error):
        log.info('left')
        await asyncio.sleep(wait)
    async def authenticate(self, attempt): ...
"""


def test_a_port_in_use_is_said_in_a_line_and_what_was_entered_is_left(gate: Path, login: Any, serving: Any) -> None:
    environment = login(f"wait = 0\n{ENTERED}")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        gate.write_text(gate.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        with serving(gate, environment=environment) as gateway:
            assert gateway.finished() == 3
    assert f"ERROR [[listener]] plain: cannot listen on 127.0.0.1:{port}: Address already in" in gateway.lines[-1]
    assert not any("Traceback" in line for line in gateway.lines)
    assert (gateway.count("INFO entered"), gateway.count("INFO left")) == (1, 1)


def test_an_authenticator_that_does_not_end_is_left_behind(gate: Path, login: Any, serving: Any) -> None:
    environment = login(f"wait = 600\n{ENTERED}")
    with serving(gate, environment=environment) as gateway:
        gateway.wait_for("listening on")
        assert gateway.end() == 0
        assert gateway.count("an authenticator does not close; it is abandoned") == 1
