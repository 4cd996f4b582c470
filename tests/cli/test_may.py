"""`dicomgate ask --may`: which rules match, by which criterion the others do not, and what one may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

RULES = """
[[rule]]
name = "readers"
groups = ["radiology", "chief"]
calling_ae_titles = "WS_*"
allow = ["echo", "find", "move"]
destinations = ["own", "TEACHING"]

[[rule]]
name = "alice"
users = "alice"
networks = "192.0.2.0/24"
allow = "store"

[[rule]]
name = "ct-only"
attributes = { department = ["ct", "mr"] }
allow = ["1.2.840.10008.5.1.4.1.1.2", "get"]

[[rule]]
name = "chief"
groups = "chief"
upstreams = "pacs"
allow = "*"
"""
READER = ("--groups", "radiology", "--calling", "WS_1")


@pytest.fixture
def may(gate: Path, run: Any, passcode: str) -> Any:
    gate.write_text(gate.read_text() + RULES)

    def ask(*arguments: str) -> Any:
        return run("ask", "--config", gate, "--called", "PACS", "--may", *arguments, stdin=passcode)

    return ask


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("find", *READER), 0, "yes: find, by readers"),
        (("move", *READER, "--to", "WS_1"), 0, 'yes: move to "WS_1", by readers'),
        (("move", *READER, "--to", "TEACHING"), 0, "yes: "),
        (("move", *READER, "--to", "WS_2"), 1, 'allows move to "WS_2"; the client receives a C-MOVE-RSP with 0124H'),
        (("store", *READER), 1, "allows store; the client's presentation contexts for it are answered with result 1"),
        (("store", "--groups", "mta"), 1, "allows store; the client receives A-ASSOCIATE-RJ 1,1,1"),
        (("store", "--groups", "mta,chief"), 0, "yes: store, by chief"),
        (("1.2.3.4", "--groups", "chief"), 0, "yes: 1.2.3.4, by chief"),
        (("store", "--user", "alice", "--address", "192.0.2.7"), 0, "yes: store, by alice"),
        (("store", "--user", "alice"), 1, "the client receives A-ASSOCIATE-RJ 1,1,1"),
        (("store", "--user", "alice", "--groups", "", "--address", "192.0.2.7"), 0, "yes: store, by alice"),
    ],
)
def test_whether_somebody_may(arguments: tuple[str, ...], status: int, said: str, may: Any) -> None:
    result = may(*arguments)
    assert result.exit_code == status, result.output
    assert said in result.stderr if status else said in result.stdout


def test_rule_by_rule(may: Any) -> None:
    rows = may("find", "--user", "bob", "--groups", "radiology, mta").stdout.splitlines()
    assert rows == [
        'readers\tdoes not match\tcalling_ae_titles: is "DICOMGATE", and must be "WS_*"',
        'alice\tdoes not match\tusers: is "bob", and must be "alice"',
        'ct-only\tdoes not match\tattributes: department is none, and must be "ct" or "mr"',
        'chief\tdoes not match\tgroups: has "mta" and "radiology", and needs "chief"',
        "may: nothing",
    ]
    assert (
        'networks: is "127.0.0.1", and must be "192.0.2.0/24"' in may("find", "--user", "alice", "--groups", "").stdout
    )
    matching = may("find", *READER, "--groups", "radiology,chief").stdout.splitlines()
    assert matching[0] == "readers\tmatches\tallows echo, find, move to own or TEACHING"
    assert matching[-2] == "may: echo, find, move to own or TEACHING, everything that the PACS allows"


def test_a_part_of_a_service_is_not_the_service(may: Any, gate: Path) -> None:
    gate.write_text(gate.read_text().replace('attributes = { department = ["ct", "mr"] }', 'users = "bob"'))
    bob = ("--user", "bob", "--groups", "")
    ct = "1.2.840.10008.5.1.4.1.1.2"
    assert may(ct, *bob).exit_code == 0
    assert f"no: not all of store, only {ct}" in may("store", *bob).stderr


def test_without_rules_and_where_they_only_report(gate: Path, run: Any, may: Any) -> None:
    question = ("ask", "--config", gate, "--may", "store", "--groups", "mta")
    text = gate.read_text()
    gate.write_text(text.replace("cleartext_passcodes = true", 'cleartext_passcodes = true\nrules = "report"'))
    reported = run(*question)
    assert reported.exit_code == 1
    assert 'listener plain has rules = "report": it only records what it would refuse' in reported.stdout
    gate.write_text(text.replace(RULES, ""))
    assert run(*question).stdout == "may: everything that the PACS allows; there are no rules\n"


def test_who_is_not_accepted_may_nothing(may: Any, gate: Path) -> None:
    refused = may("store", "--user", "nobody", "--address", "192.0.2.7")
    assert refused.exit_code == 1
    assert "yes" not in refused.stdout
    assert "the client receives A-ASSOCIATE-RJ 1,2,1" in refused.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "WS_1"], "--to and --groups are for --may"),
        (["--groups", "a"], "--to and --groups are for --may"),
        (["--may", "find", "--authenticator", "staff"], "--authenticator is for --groups"),
        (
            ["--may", "find", "--groups", "a", "--authenticator", "nobody"],
            "asks no authenticator 'nobody'; it asks: staff",
        ),
        (["--may", "find", "--groups", "a", "--user", "a", "--no-passcode"], "--user alone says who it is"),
        (["--may", "stor"], "no service is called 'stor', did you mean 'store'?"),
        (["--may", "*"], "--may asks for one service"),
        (["--may", "find", "--to", "WS_1"], "--to is the destination of a C-MOVE, and find has none"),
        (["--may", "move", "--to", "SEVENTEEN-LETTERS"], "is not an AE title"),
    ],
)
def test_options_that_make_no_sense(options: list[str], said: str, gate: Path, run: Any, one_line: Any) -> None:
    assert said in one_line(run("ask", "--config", gate, *options), 2)


def test_which_authenticator_had_accepted(gate: Path, run: Any, one_line: Any) -> None:
    second = '[[authenticator]]\nuse = "passcode"\nname = "guests"\nfile = "users.htpasswd"\n'
    rule = '[[rule]]\nname = "guests"\nauthenticators = "guests"\ngroups = "all"\nallow = "echo"\n'
    gate.write_text(gate.read_text() + second + rule)
    question = ("ask", "--config", gate, "--may", "echo", "--groups", "all")
    assert "choose an --authenticator: staff, guests" in one_line(run(*question), 2)
    assert run(*question, "--authenticator", "guests").exit_code == 0
    staff = run(*question, "--authenticator", "staff")
    assert (staff.exit_code, staff.stdout.splitlines()[0]) == (
        *(1, 'guests\tdoes not match\tauthenticators: is "staff", and must be "guests"'),
    )
