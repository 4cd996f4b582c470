"""`bind` beside pynetdicom's own clients, over the wire."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pynetdicom import evt

from dicomgate import ConfigError, IdentityType, PluginError, StartError
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate_pynetdicom import bind, login_thread
from plugins.pynetdicom.tests.entities import REFUSED_IDENTITY, TRY_LATER, entity, log_in
from plugins.pynetdicom.tests.wards import FALSE, GENUINE, Faulty, Visitors, Ward, raises

# pynetdicom 3.0.4 raises in its own thread when an abort crosses a rejection (Evt15 in Sta13): seen on a busy machine.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

EXPECTED_RESPONSE = {1: b"", 2: b"", 3: b"you are welcome", 4: b"you are welcome", 5: b"you are welcome"}
each_way = pytest.mark.parametrize("strict", [False, True], ids=["EVT_USER_ID", "strict"])


def handlers(login: Any, strict: bool) -> list[Any]:
    return login.strict if strict else [login]


@each_way
def test_what_the_chain_is_asked(strict: bool) -> None:
    ward = Ward()
    with bind(ward, cleartext_passcodes=True) as login, entity(*handlers(login, strict)) as address:
        identity = user_identity(2, *GENUINE[2], positive_response_requested=True)
        with associate(address, identity=identity, calling="CT1", called="WARD") as association:
            here = association.requestor.port
    (attempt,) = ward.attempts
    assert attempt.identity is not None
    assert (attempt.identity.type, attempt.identity.positive_response_requested) == (IdentityType(2), True)
    assert (attempt.identity.primary, attempt.identity.secondary) == GENUINE[2]
    assert (attempt.calling_ae_title, attempt.called_ae_title) == ("CT1", "WARD")
    assert (attempt.peer.address, attempt.peer.port) == ("127.0.0.1", here)
    assert attempt.arrived_at == address
    assert attempt.abstract_syntaxes == ("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2")
    assert attempt.peer.certificate is None
    assert attempt.request is not None
    assert GENUINE[2][1] in attempt.request()


@pytest.mark.parametrize("host", [("127.0.0.1",), ("::1",), ("::1", 0, 0)], ids=str)
def test_addresses(host: tuple[Any, ...]) -> None:
    ward = Ward()
    with bind(ward, cleartext_passcodes=True) as login, entity(login, bind=host) as address:
        assert log_in(address, 1, *GENUINE[1]) is None
        assert log_in(address, 1, *FALSE[1]) == TRY_LATER
    assert {attempt.peer.address for attempt in ward.attempts} == {host[0]}
    assert {attempt.arrived_at for attempt in ward.attempts} == {address}


def test_the_strict_response_is_the_standards_to_the_byte() -> None:
    sent: list[bytes] = []
    capture = (evt.EVT_DATA_SENT, lambda event: sent.append(event.data))
    with bind(Ward(), cleartext_passcodes=True) as login, entity(*login.strict, capture) as address:
        assert log_in(address, 1, *GENUINE[1], response=True) == b""
        assert log_in(address, 1, *GENUINE[1], response=False) is None
    accepts = [pdu for pdu in sent if pdu[0] == 2]
    assert [pdu.count(bytes.fromhex("590000020000")) for pdu in accepts] == [1, 0]


# -- who brings no identity -------------------------------------------------------------------------------------------


def test_another_handler_that_raises_opens_nothing() -> None:
    """pynetdicom stops calling the handlers of an event with the first one that raises."""

    def broken(event: Any) -> None:
        raise ValueError("somebody else's")

    aborted: list[Any] = []
    other, watch = (evt.EVT_REQUESTED, broken), (evt.EVT_ABORTED, lambda event: aborted.append(event.assoc))
    with bind(Ward(), cleartext_passcodes=True) as login:
        with entity(other, watch, *login.strict) as address:
            with associate(address) as association:
                assert not association.is_established or association.send_c_echo().get("Status") is None
            assert log_in(address, 1, *GENUINE[1]) == TRY_LATER
        assert aborted
        with entity(*login.strict, other) as address:
            assert log_in(address, 1, *GENUINE[1]) is None
            assert log_in(address, None) == REFUSED_IDENTITY


# -- closed, whatever happens ----------------------------------------------------------------------------------------


def _hang() -> None:
    threading.current_thread().name = "hung"
    time.sleep(3)


FAULTS: dict[str, Callable[[], Any]] = {
    "ValueError": raises(ValueError("canary-pass")),
    "NotImplementedError": raises(NotImplementedError()),
    "SystemExit": raises(SystemExit()),
    "RecursionError": raises(RecursionError()),
    "None": lambda: None,
    "True": lambda: True,
    "(True, None)": lambda: (True, None),
    "hangs": _hang,
}


@each_way
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_authenticator_lets_nobody_in(fault: str, strict: bool, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    faulty = Faulty(FAULTS[fault])
    deadline = timedelta(seconds=1)
    login = bind([faulty, Ward()], deadline=deadline, cleartext_passcodes=True)
    with login, entity(*handlers(login, strict)) as address:
        assert log_in(address, 2, *GENUINE[2]) == TRY_LATER
    assert time.monotonic() - began < 20
    assert "faulty" in caplog.text
    assert "canary-pass" not in caplog.text


@pytest.mark.parametrize("error", [NotImplementedError, ValueError, SystemExit, KeyboardInterrupt])
def test_whatever_is_raised_is_a_no(error: type[BaseException]) -> None:
    """pynetdicom itself takes NotImplementedError for a yes."""

    class Association:
        @property
        def requestor(self) -> Any:
            raise error

    rejected: list[tuple[int, int, int]] = []
    association: Any = Association()
    association.acse = SimpleNamespace(send_reject=lambda *codes: rejected.append(codes))
    association.kill = lambda: rejected.append((0, 0, 0))
    login = bind(Ward())
    _, identified = login
    assert identified(SimpleNamespace(assoc=association)) == (False, None)
    (_, requested), (_, admitted), _ = login.strict
    requested(SimpleNamespace(assoc=association))
    assert rejected == [TRY_LATER, (0, 0, 0)]
    assert admitted(SimpleNamespace(assoc=association)) == (False, None)


@each_way
def test_a_blocked_event_loop_lets_nobody_in_and_holds_nobody_for_ever(strict: bool) -> None:
    answered, over = threading.Event(), threading.Event()

    class Blocking:
        async def authenticate(self, attempt: Any) -> Any:
            answered.wait(11)
            over.set()

    login = bind(Blocking(), deadline=timedelta(milliseconds=100))
    with login, entity(*handlers(login, strict)) as address:
        assert log_in(address, 1) == TRY_LATER
        assert not over.is_set()
        answered.set()


def test_an_identity_is_read_as_strictly_as_on_the_wire() -> None:
    ward = Ward()
    with bind(ward) as login, entity(*login.strict) as address:
        for name in (b"al\0ice", b"", b"\xff\xfe", b"alice\n"):
            assert log_in(address, 1, name) == REFUSED_IDENTITY
        assert ward.attempts == []
        assert log_in(address, 1, *GENUINE[1]) is None


def test_an_association_ends_with_its_credential() -> None:
    identity = user_identity(5, *GENUINE[5])
    for expires, ends in ((timedelta(seconds=1), True), (None, False)):
        login = bind(Ward(expires=expires))
        with login, entity(*login.strict) as address, associate(address, identity=identity) as association:
            assert association.send_c_echo().Status == 0
            end = time.monotonic() + (20 if ends else 1.5)
            while association.is_established and time.monotonic() < end:
                time.sleep(0.05)
            assert association.is_aborted == ends


def test_it_ends_also_when_those_who_admitted_it_are_closed() -> None:
    login = bind(Ward(expires=timedelta(seconds=1)))
    with entity(*login.strict) as address, associate(address, identity=user_identity(5, *GENUINE[5])) as association:
        assert association.send_c_echo().Status == 0
        login.close()
        wait_until(lambda: not association.is_established, "the end of the credential")
        assert association.is_aborted


# -- TLS --------------------------------------------------------------------------------------------------------------


@each_way
def test_a_passcode_needs_tls(strict: bool, certificates: Certificates) -> None:
    ward = Ward()
    client = certificates.client_context(certificates.client)
    with bind(ward) as login:
        with entity(*handlers(login, strict)) as address:
            assert log_in(address, 2, *GENUINE[2]) == (REFUSED_IDENTITY if strict else TRY_LATER)
            assert ward.attempts == []
            assert log_in(address, 1, *GENUINE[1]) is None
        server = certificates.server_context(client_certificate=True)
        with entity(*handlers(login, strict), tls=server) as address:
            assert log_in(address, 2, *GENUINE[2], tls=client) is None
    shown = [attempt.peer.certificate for attempt in ward.attempts]
    assert shown[0] is None
    assert shown[1] is not None
    assert b"client.test" in shown[1]


# -- a configuration file ---------------------------------------------------------------------------------------------


def configured(folder: Path, use: str, *, listener: str | None = "", more: str = "") -> Path:
    path = folder / "dicomgate.toml"
    table = f'[[listener]]\nname = "ward"\nbind = "127.0.0.1:0"\n{listener}\n' if listener is not None else ""
    path.write_text(f'[gateway]\nnode = "test"\naudit = "audit.jsonl"\n{table}[[authenticator]]\nuse = "{use}"\n{more}')
    return path


WARD = "from plugins.pynetdicom.tests.wards import Ward as Judge"


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


@each_way
def test_the_audit(strict: bool, tmp_path: Path, install_authenticator: Any) -> None:
    path = configured(tmp_path, install_authenticator(WARD), listener="cleartext_passcodes = true")
    with bind(path) as login, entity(*handlers(login, strict)) as address:
        assert log_in(address, 2, *GENUINE[2]) is None
        assert log_in(address, 2, *FALSE[2]) == (REFUSED_IDENTITY if strict else TRY_LATER)
    accepted, rejected, refused = told(tmp_path)
    assert (accepted["event"], accepted["outcome"], accepted["user"]) == ("Decided", "accept", "alice")
    assert (accepted["node"], accepted["calling_ae_title"]) == ("test", "PYNETDICOM")
    assert (rejected["event"], rejected["outcome"], rejected["claimed"]) == ("Decided", "reject", "alice")
    assert refused["event"] == "Refused"
    assert refused["answer"].startswith("A-ASSOCIATE-RJ 1,2,1" if strict else "A-ASSOCIATE-RJ 2,2,1"), "what it got"
    assert rejected["id"] == refused["id"] != accepted["id"]
    assert GENUINE[2][1].decode() not in (tmp_path / "audit.jsonl").read_text()


def test_given_authenticators_have_an_audit_too(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with bind([Ward(), Ward()], audit=audit) as login, entity(login) as address:
        assert log_in(address, 1, *GENUINE[1]) is None
    assert told(tmp_path)[0]["authenticator"] == "ward-1"
    with bind(Ward(), audit="/dev/full", audit_required=True) as login, entity(*login.strict) as address:
        assert log_in(address, 1, *GENUINE[1]) == TRY_LATER


def test_whose_authenticators(tmp_path: Path, install_authenticator: Any) -> None:
    use = install_authenticator(WARD)
    visitors = install_authenticator("from plugins.pynetdicom.tests.wards import Visitors as Judge")
    second = f'[[authenticator]]\nuse = "{visitors}"\nname = "visitors"\n'
    with bind(configured(tmp_path, use, listener=None)) as login, entity(*login.strict) as address:
        assert log_in(address, 1, *GENUINE[1]) is None
        assert log_in(address, 2, *GENUINE[2]) == REFUSED_IDENTITY, "in the clear"
    both = '[[listener]]\nname = "guests"\nbind = "127.0.0.1:1"\nidentity = "optional"\nauthenticators = ["visitors"]\n'
    path = configured(tmp_path, use, more=second + both)
    with bind(path, listener="guests") as login, entity(*login.strict) as address:
        assert log_in(address, None) is None
        assert log_in(address, 1, *GENUINE[1]) == REFUSED_IDENTITY
    with bind(path, listener="ward") as login, entity(*login.strict) as address:
        assert log_in(address, None) == REFUSED_IDENTITY, "though one of its authenticators would accept it"


def test_what_cannot_be_bound(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        bind(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="no authenticator is called 'no-such-thing'"):
        bind(configured(tmp_path, "no-such-thing"))
    with pytest.raises(ConfigError, match="are set in the configuration file"):
        bind(tmp_path / "dicomgate.toml", cleartext_passcodes=True)
    with pytest.raises(ConfigError, match="only be given with a configuration file"):
        bind(Ward(), listener="ward")
    with pytest.raises(ConfigError, match="audit_required: there is no audit; say in audit which file to write"):
        bind(Ward(), audit_required=True)
    with pytest.raises(ConfigError, match="no authenticator was given"):
        bind([])
    with pytest.raises(PluginError, match="has no method authenticate"):
        bind(object())  # type: ignore[arg-type]


# -- the thread -------------------------------------------------------------------------------------------------------


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("dicomgate")]


def assert_ended() -> None:
    assert "dicomgate" not in ours()
    wait_until(lambda: not ours(), "the thread of the state ends by itself")


def test_it_starts_with_the_first_question_and_ends_with_close() -> None:
    login = bind(Ward())
    assert ours() == []
    with entity(login) as address:
        assert log_in(address, 1, *GENUINE[1]) is None
        assert "dicomgate" in ours()
        login.close()
        assert_ended()
        assert log_in(address, 1, *GENUINE[1]) == TRY_LATER
        login.close()
    with pytest.raises(StartError, match="it was closed"):
        login.__enter__()


def test_an_authenticator_that_cannot_be_entered(caplog: pytest.LogCaptureFixture) -> None:
    class Down(Ward):
        up = False

        async def __aenter__(self) -> Down:
            if not self.up:
                raise StartError("the directory is down")
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

    down = Down()
    login = bind(down)
    with pytest.raises(StartError, match="the directory is down"):
        login.__enter__()
    assert_ended()
    with entity(login) as address:
        assert log_in(address, 1, *GENUINE[1]) == TRY_LATER
        assert "logins are refused: authenticator down: the directory is down" in caplog.text
        down.up = True
        assert log_in(address, 1, *GENUINE[1]) is None
    login.close()


def test_an_authenticator_that_is_never_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Ward):
        async def __aenter__(self) -> Hanging:
            await asyncio.sleep(60)
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(login_thread, "_PATIENCE", 0.3)
    login = bind(Hanging())
    with pytest.raises(StartError, match=r"did not start within 0\.3 s"):
        login.__enter__()
    monkeypatch.undo()
    assert_ended()
    login.close()


def test_who_is_asked_when_it_is_closed_is_refused() -> None:
    asked = threading.Event()

    class Slow(Ward):
        def authenticate(self, attempt: Any) -> Any:
            asked.set()
            time.sleep(1)
            return super().authenticate(attempt)

    login = bind(Slow(), deadline=timedelta(seconds=60))
    with entity(login) as address, ThreadPoolExecutor(1) as client:
        answer = client.submit(log_in, address, 1, *GENUINE[1])
        assert asked.wait(20)
        login.close()
        assert answer.result(20) == TRY_LATER


def test_fifty_at_once() -> None:
    ward = Ward()
    login = bind(ward, workers=4)
    with login, entity(*login.strict) as address, ThreadPoolExecutor(50) as clients:

        def client(number: int) -> bool:
            kind = 3 + number % 3
            credential = GENUINE[kind] if number % 2 else FALSE[kind]
            expected = EXPECTED_RESPONSE[kind] if number % 2 else REFUSED_IDENTITY
            return log_in(address, kind, *credential, response=True) == expected

        assert all(clients.map(client, range(50)))


def test_a_program_that_ends_without_closing_it(tmp_path: Path) -> None:
    program = """
import sys
from plugins.pynetdicom.tests.entities import entity, log_in
from plugins.pynetdicom.tests.wards import GENUINE, Ward
from dicomgate_pynetdicom import bind

class Left(Ward):
    async def __aenter__(self): return self
    async def __aexit__(self, *_): print("left", flush=True)

with entity(bind(Left())) as address:
    assert log_in(address, 1, *GENUINE[1]) is None
print("at its end", flush=True)
"""
    here = [str(Path(__file__).parents[3]), str(Path(__file__).parents[3] / "tests" / "system")]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {here!r}\n{program}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stdout.split("\n")) == (0, ["at its end", "left", ""]), ended.stderr
    assert "Traceback" not in ended.stderr


def test_its_repr_tells_what_it_is() -> None:
    login = bind(Visitors())
    assert repr(login) == "<dicomgate for EVT_USER_ID: embedded>"
    assert login[0] is evt.EVT_USER_ID
