from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from dicomgate.state import open_state
from dicomgate.state.protocol import Backoff

ANSWERS = {
    "yes": "Accept('al', frozenset({'ct', 'mr'}), b'response')",
    "no": "Reject('canary reason')",
    "pass": "Pass('not of my realm')",
    "down": "Unavailable('the directory is down')",
    "broken": "1 / 0",
    "shown": "Accept(str((a.calling_ae_title, a.called_ae_title, a.peer.address, a.peer.certificate and 'cert', "
    "a.listener, a.identity.primary.decode())))",
    "once": "Accept('al', once=Once('key', a.time + timedelta(hours=1)))",
    "long": "Accept('al', server_response=bytes(65_535))",
}


@pytest.fixture
def chain(gate: Path, configuration: Any, distribution: Any) -> Any:
    """Write a configuration whose authenticators answer as told, in this order."""
    source = "from datetime import timedelta\nfrom dicomgate import Accept, Once, Pass, Reject, Unavailable\n"
    points = "[dicomgate.authenticators]\n"
    for name, answer in ANSWERS.items():
        source += f"class {name.title()}Login:\n    def authenticate(self, a):\n        return {answer}\n"
        points += f"{name} = acme_login:{name.title()}Login\n"
    source += "class Tokens(YesLogin):\n    handles = {5}\n"
    distribution(source, points + "tokens = acme_login:Tokens\n")

    def write(*names: str, **tables: str) -> Path:
        authenticators = "".join(f'[[authenticator]]\nuse = "{name}"\n' for name in names)
        gate.write_text(configuration(authenticators=authenticators, **tables))
        return gate

    return write


@pytest.fixture
def ask(run: Any) -> Any:
    def ask(config: Path, *arguments: object, stdin: str = "secret") -> Any:
        return run("ask", "--config", config, "--called", "PACS", *arguments, stdin=stdin)

    return ask


@pytest.mark.parametrize(
    ("names", "status", "rows", "said"),
    [
        (["yes"], 0, ['yes\tyes\tuser "al", groups "ct", "mr", a response of 8 bytes'], "59H) of 0 bytes"),
        (["no", "yes"], 1, ["no\tno\tcanary reason", "yes\tnot asked\tan earlier one has answered"], "RJ 1,2,1"),
        (["pass", "no"], 1, ["pass\tnot mine\tnot of my realm", "no\tno\tcanary reason"], "no: canary reason"),
        (["pass"], 1, ["pass\tnot mine\tnot of my realm"], "no authenticator claims"),
        (["down", "yes"], 3, ["down\tcould not look\tthe directory is down", "yes\tnot asked"], "RJ 2,2,1"),
        (["broken"], 3, ["broken\tcould not look\tdefect: ZeroDivisionError in acme_login.py"], "RJ 2,2,1"),
        (["tokens", "yes"], 0, ["tokens\tnot asked\tit does not handle identities of type 2", "yes\tyes"], "accepted"),
    ],
)
def test_each_answer_is_explained(
    names: list[str], status: int, rows: list[str], said: str, chain: Any, ask: Any
) -> None:
    result = ask(chain(*names), "--user", "alice", "-r")
    assert result.exit_code == status, result.output
    table = result.stdout.splitlines()[: len(names)]
    assert [line.startswith(row) for line, row in zip(table, rows, strict=True)] == [True] * len(rows), table
    assert said in result.output.replace("\n", " ")
    assert "Traceback" not in result.output


def test_nothing_secret_is_printed(gate: Path, ask: Any, passcode: str) -> None:
    right = ask(gate, "--user", "alice", stdin=passcode)
    wrong = ask(gate, "--user", "alice", stdin=f"{passcode}x")
    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert "wrong passcode" in wrong.stderr
    assert passcode not in right.output + wrong.output


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_the_attempt_is_as_the_options_say(encoding: Encoding, chain: Any, ask: Any, tmp_path: Path) -> None:
    pem = trustme.CA().issue_cert("ct1.example.org").cert_chain_pems[0].bytes()
    certificate = tmp_path / "ct1"
    certificate.write_bytes(load_pem_x509_certificate(pem).public_bytes(encoding))
    config = chain("shown")
    result = ask(
        config, "--user", "bo", "--no-passcode", "--calling", "CT1", "--address", "192.0.2.7",
        "--certificate", certificate,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "('CT1', 'PACS', '192.0.2.7', 'cert', 'plain', 'bo')" in result.stdout
    certificate.write_text("no certificate")
    assert ask(config, "--certificate", certificate).exit_code == 2


def test_what_no_authenticator_sees(chain: Any, ask: Any, run: Any, one_line: Any) -> None:
    config = chain("yes")
    assert "the listener requires one" in one_line(ask(config), 1)
    nobody = one_line(run("ask", "--config", config, "--called", "NOBODY"), 1)
    assert "1,1,7" in nobody
    assert "there are: PACS; choose one with --called" in nobody
    assert "has control characters" in one_line(ask(config, "--user", "a\tb", "--no-passcode"), 1)
    listener = '[[listener]]\nname = "bare"\nbind = "127.0.0.1:0"\n'
    tokens = chain("tokens", listeners=listener)
    assert "over a connection without TLS" in one_line(ask(tokens, "--user", "alice"), 1)


def test_a_response_that_does_not_fit(chain: Any, ask: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a.b.c\n")
    result = ask(chain("long"), "--jwt", tmp_path / "token", "-r")
    assert result.exit_code == 3
    assert "does not fit" in result.stderr
    assert ask(chain("long"), "--jwt", tmp_path / "token").exit_code == 0


def test_which_listener(chain: Any, ask: Any, one_line: Any) -> None:
    listeners = "".join(
        f'[[listener]]\nname = "{name}"\nbind = "127.0.0.{number}:0"\ncleartext_passcodes = true\n'
        for number, name in enumerate(("one", "two"), 1)
    )
    config = chain("shown", listeners=listeners)
    assert "choose a --listener: one, two" in one_line(ask(config, "--user", "al"), 2)
    assert "no listener is called 'three'" in one_line(ask(config, "--user", "al", "--listener", "three"), 2)
    assert "'two'" in ask(config, "--user", "al", "--listener", "two").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--user", "a", "--jwt", "x"], "one identity at a time"),
        (["--passcode-file", "x"], "need --user"),
        (["--no-passcode"], "need --user"),
        (["--user", "a", "--no-passcode", "--passcode-file", "x"], "either"),
        (["-r"], "is for an identity"),
        (["--jwt", "no-such-file"], "cannot be read"),
        (["--address", "1::2::3"], "--address: '1::2::3' is not an IP address"),
        (["--calling", "SEVENTEEN-LETTERS"], "is not an AE title"),
    ],
)
def test_options_that_make_no_sense(options: list[str], said: str, chain: Any, ask: Any, one_line: Any) -> None:
    assert said in one_line(ask(chain("yes"), *options), 2)


def test_an_empty_passcode_is_not_asked(gate: Path, ask: Any, one_line: Any) -> None:
    assert "the passcode is empty" in one_line(ask(gate, "--user", "alice", stdin="\n"), 2)


def test_the_passcode_is_the_first_line_of_a_file(gate: Path, ask: Any, tmp_path: Path, passcode: str) -> None:
    (tmp_path / "passcode").write_text(f"{passcode}\r\nsecond line\n")
    assert ask(gate, "--user", "alice", "--passcode-file", tmp_path / "passcode", stdin="wrong").exit_code == 0


def test_the_called_title_is_the_first_that_the_configuration_names(chain: Any, run: Any) -> None:
    config = chain("shown")
    config.write_text(config.read_text().replace('["PACS"]', '["*", "ARCHIVE", "PACS"]'))
    assert "('DICOMGATE', 'ARCHIVE', " in run("ask", "--config", config, "--user", "al", stdin="secret").stdout


def test_a_throttled_account_is_refused_as_the_gateway_refuses_it(
    gate: Path, ask: Any, run: Any, passcode: str
) -> None:
    async def count() -> None:
        state = open_state(gate.parent / "dicomgate-state.sqlite", None)
        for _ in range(5):
            await state.take("", (), [Backoff("account:alice", 5, 30, 3600)])
        await state.close()

    asyncio.run(count())
    gate.write_text(f'{gate.read_text()}\n[throttle]\ndomains = ["Hospital"]\n')
    before = run("throttle", "list", "--config", gate).stdout
    for typed in ("Alice", "HOSPITAL\\alice"):
        result = ask(gate, "--user", typed, stdin=passcode)
        assert result.exit_code == 1
        assert result.stdout.startswith("throttle\tno\tthrottled: too many attempts in a row, account:alice waits ")
        assert "staff\tnot asked\tthe throttle refuses it before" in result.stdout
        assert "(dicomgate throttle clear account:alice)" in result.stderr
    assert run("throttle", "list", "--config", gate).stdout == before
    assert run("throttle", "clear", "account:alice", "--config", gate).exit_code == 0
    assert ask(gate, "--user", "alice", stdin=passcode).exit_code == 0
    assert run("throttle", "list", "--config", gate).stdout == "", "nothing was counted"


def test_a_credential_of_single_use_is_not_used_up(
    chain: Any, ask: Any, run: Any, serving: Any, pacs: int, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a.b.c\n")
    config = chain("once", upstream=pacs)
    for _ in range(2):
        result = ask(config, "--jwt", tmp_path / "token")
        assert result.exit_code == 0, result.output
        assert "replay cache\tyes\tnot used yet" in result.stdout
    with serving(config, environment={"PYTHONPATH": str(tmp_path / "site")}) as gateway:
        gateway.wait_for("listening on")
        server = f"127.0.0.1:{gateway.port('plain')}"
        assert run("echo", server, "--called", "PACS", "--jwt", tmp_path / "token").exit_code == 0
        used = ask(config, "--jwt", tmp_path / "token")
    assert used.exit_code == 1
    assert "replay cache\tno\tthe credential may be used once, and was used before" in used.stdout


@pytest.mark.parametrize(("what", "status"), [("local", 0), ("refuse", 3)])
def test_a_state_that_is_out_of_reach_is_told(what: str, status: int, chain: Any, ask: Any) -> None:
    config = chain("yes")
    state = f'[state]\nurl = "redis://127.0.0.1:1/0"\n[throttle]\non_unreachable = "{what}"\n'
    config.write_text(config.read_text() + state)
    result = ask(config, "--user", "alice")
    assert result.exit_code == status, result.output
    assert "state redis://127.0.0.1:1/0: cannot be reached" in result.stderr
