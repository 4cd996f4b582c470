from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any

import pytest
import trustme

from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.silence import Names, silent
from dicomgate.wire.associate import AssociateAccept
from dicomgate.wire.echo import verification_request
from dicomgate.wire.presentation import AnsweredContext

__all__ = ["names"]

RELEASE_RP = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))
ABORT = bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 2))


def _accept(result: int = 0, context: int = 1) -> bytes:
    answer = AssociateAccept((AnsweredContext(context, result, b"1.2.840.10008.1.2"),))
    return answer.encode(verification_request("DICOMGATE", "ANY-SCP", None))


def _element(number: int, value: bytes) -> bytes:
    return pack("<HHL", 0, number, len(value)) + value


def _response(status: int = 0, control: int = 3, command: int = 0x8030, message: int = 1, cut: int = 0) -> bytes:
    elements = (
        _element(0x0002, b"1.2.840.10008.1.1\0")
        + _element(0x0100, pack("<H", command))
        + _element(0x0120, pack("<H", message))
        + _element(0x0800, pack("<H", 0x0101))
        + _element(0x0900, pack("<H", status))
    )
    command_set = (_element(0x0000, pack("<L", len(elements))) + elements)[cut:]
    return _data(command_set, control)


def _in_two(response: bytes) -> bytes:
    """The same command in two fragments, each in a PDU of its own."""
    command = response[12:]
    return _data(command[:30], 1) + _data(command[30:], 3)


def _data(value: bytes, control: int = 3, context: int = 1) -> bytes:
    pdv = pack(">LBB", len(value) + 2, context, control) + value
    return pack(">BxL", 4, len(pdv)) + pdv


@pytest.fixture
def gateway(gate: Path, configuration: Any, serving: Any, pacs: int) -> Iterator[Any]:
    """The gateway in front of a PACS: without TLS, with TLS, and with TLS and client certificates."""
    folder, ca = gate.parent, trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    for secret in ("gate.pem", "scu.pem"):
        (folder / secret).touch(mode=0o600)
    ca.issue_cert("127.0.0.2", "gate.example.org").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "gate.pem")
    )
    ca.issue_cert("scu.example.org").private_key_and_cert_chain_pem.write_to_path(str(folder / "scu.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    listeners = (
        '[[listener]]\nname = "plain"\nbind = "127.0.0.1:0"\ncleartext_passcodes = true\n'
        '[[listener]]\nname = "tls"\nbind = "127.0.0.2:0"\ntls = { certificate = "gate.pem" }\n'
        '[[listener]]\nname = "mutual"\nbind = "127.0.0.3:0"\n'
        'tls = { certificate = "gate.pem", client_ca = "ca.pem" }\n'
    )
    gate.write_text(configuration(pacs, listeners))
    with serving(gate) as running:
        running.wait_for("listening on", times=3)
        yield running


def test_every_outcome_behind_the_gateway(gateway: Any, run: Any, one_line: Any, passcode: str) -> None:
    arguments = ("echo", f"127.0.0.1:{gateway.port('plain')}", "--called", "PACS")
    welcome = run(*arguments, "--user", "alice", stdin=passcode)
    assert welcome.exit_code == 0, welcome.output
    assert welcome.stdout.splitlines()[1:] == [
        "established, 1 of 1 presentation contexts accepted",
        "server response (59H): none",
        "C-ECHO succeeded, status 0000H; released",
    ]
    assert welcome.stderr == ""
    asked = run(*arguments, "--user", "alice", "-r", stdin=passcode)
    assert "server response (59H): 0 bytes" in asked.stdout
    assert "refused: A-ASSOCIATE-RJ 1,2,1" in one_line(run(*arguments, "--user", "alice", stdin="wrong"), 1)
    nobody = one_line(run(*arguments), 1)
    assert "refused: A-ASSOCIATE-RJ 1,2,1" in nobody
    assert "; no user identity was sent" in nobody
    stranger = one_line(run(*arguments, "--called", "NOBODY", "--user", "alice", stdin="wrong"), 1)
    assert "RJ 1,1,7" in stranger
    assert "; the called AE title was NOBODY" in stranger
    assert "RJ 1,2,1" in one_line(run(*arguments, "--user", "alice", "--no-passcode"), 1)
    elsewhere = (*arguments[:-1], "NOBODY", "--user", "alice")
    assert "called-AE-title-not-recognized" in one_line(run(*elsewhere, stdin=passcode), 1)


def test_tls_and_its_failures(gateway: Any, gate: Path, run: Any, one_line: Any, passcode: str) -> None:
    folder = gate.parent
    who = ("--user", "alice", "--called", "PACS")
    tls: tuple[object, ...] = ("echo", f"127.0.0.2:{gateway.port('tls')}", *who, "--tls")
    trusted = (*tls, "--ca", folder / "ca.pem")
    welcome = run(*trusted, stdin=passcode)
    assert welcome.exit_code == 0, welcome.output
    assert "with TLS" in welcome.stdout
    assert run(*trusted, "--server-name", "gate.example.org", stdin=passcode).exit_code == 0
    for arguments in (tls, (*tls, "--ca", folder / "other.pem"), (*trusted, "--server-name", "other.example.org")):
        assert "TLS: the certificate of the server does not verify" in one_line(run(*arguments, stdin=passcode), 3)
    plain = ("echo", f"127.0.0.1:{gateway.port('plain')}", *who, "--tls", "--ca", folder / "ca.pem")
    assert "TLS: " in one_line(run(*plain, stdin=passcode), 3)

    address = f"127.0.0.3:{gateway.port('mutual')}"
    mutual = ("echo", address, *who, "--tls", "--ca", folder / "ca.pem", "--server-name", "gate.example.org")
    # TLS 1.3: the server's alert comes behind the handshake, and may cross our first PDU.
    line = one_line(run(*mutual, stdin=passcode), 3)
    assert "the server requires a certificate" in line or "the connection broke" in line
    assert run(*mutual, "--certificate", folder / "scu.pem", stdin=passcode).exit_code == 0
    assert "no-such-file" in one_line(run(*mutual, "--certificate", "no-such-file", stdin=passcode), 2)


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ([_accept(), _response(), RELEASE_RP], 0, ""),
        ([_accept(), _in_two(_response()), RELEASE_RP], 0, ""),
        ([_accept(), _data(b"", 1) + _response(), RELEASE_RP], 0, ""),
        ([_accept(), _response(0x0122), RELEASE_RP], 1, "the C-ECHO failed with status 0122H"),
        ([_accept(3), RELEASE_RP], 1, "does not accept Verification: abstract-syntax-not-supported"),
        ([_accept(), ABORT], 1, "aborted: A-ABORT 2,2 (DICOM UL service-provider, unexpected-PDU)"),
        ([ABORT], 1, "refused: A-ABORT 2,2"),
        ([_accept(), _response(), ABORT], 1, "aborted instead of released"),
        ([_accept(), bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))], 1, "released the association instead"),
        ([], 3, "no answer: "),
        ([_accept()], 3, "no answer: "),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], 3, "is not DICOM: "),
        ([_accept(context=3)], 3, "it answers other presentation contexts than those proposed"),
        ([_accept(), _response(command=0x0030)], 3, "no C-ECHO-RSP"),
        ([_accept(), _response(message=2)], 3, "no C-ECHO-RSP"),
        ([_accept(), _response(cut=1)], 3, "is not DICOM: "),
        ([_accept(), _data(b"x" * 8, context=3)], 3, "is not DICOM: "),
        ([_accept(), _data(b"")[:-2] + b"\x01\x02"], 3, "is not DICOM: "),
    ],
)
def test_what_a_server_may_do(
    answers: list[bytes], status: int, said: str, answering: Any, run: Any, one_line: Any
) -> None:
    with answering(*answers) as port:
        result = run("echo", f"127.0.0.1:{port}")
    if status:
        assert said in one_line(result, status)
    else:
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith("C-ECHO succeeded, status 0000H; released\n")


def test_a_server_that_is_silent(answering: Any, run: Any, one_line: Any) -> None:
    with answering(b"", b"") as port:
        assert "no answer: not in time" in one_line(run("echo", f"127.0.0.1:{port}", "--timeout", "300ms"), 3)


def test_an_address_of_the_server_that_is_silent(answering: Any, run: Any, one_line: Any, names: Names) -> None:
    names.addresses["gate.test"] = ["127.0.0.2", "127.0.0.1"]
    with answering(_accept(), _response(), RELEASE_RP) as port, silent("127.0.0.2", port):
        result = run("echo", f"gate.test:{port}")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    names.addresses["gate.test"] = None
    said = one_line(run("echo", "gate.test:1", "--timeout", "300ms"), 3)
    assert said == "the server cannot be reached: no name server has answered yet where gate.test is\n"


def test_a_server_that_is_not_there(run: Any, one_line: Any) -> None:
    assert "the server cannot be reached: 127.0.0.1:1: Connection refused" in one_line(run("echo", "127.0.0.1:1"), 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["127.0.0.1"], 'an address is "host:port"'),
        (["a..b:104"], "is not a host name"),
        (["127.0.0.1:1", "--ca", "x"], "need --tls"),
        (["127.0.0.1:1", "--tls", "--key", "x"], "--key is the key of a --certificate"),
        (["127.0.0.1:1", "--timeout", "10"], "--timeout: a duration is a number with a unit"),
        (["127.0.0.1:1", "--called", "A\\B"], "is not an AE title"),
        (["127.0.0.1:1", "--user", "u" * 65_536, "--no-passcode"], "does not fit"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, run: Any, one_line: Any) -> None:
    assert said in one_line(run("echo", *arguments), 2)


def test_on_a_terminal_the_passcode_is_asked_for_and_hidden(gateway: Any, passcode: str) -> None:
    master, slave = pty.openpty()
    where = f"127.0.0.1:{gateway.port('plain')}"
    command = [*DICOMGATE, "echo", where]
    process = subprocess.Popen(
        [*command, "--user", "alice", "--called", "PACS"], stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen, typed = b"", False
    while select.select([master], [], [], 30)[0]:
        try:
            data = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        seen += data
        if b"Passcode for alice: " in seen and not typed:
            os.write(master, passcode.encode() + b"\n")
            typed = True
    os.close(master)
    assert process.wait(30) == 0, seen
    assert typed
    assert passcode.encode() not in seen
