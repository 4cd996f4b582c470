from __future__ import annotations

import sys
from typing import Any

import pytest

ENTRY_POINTS = "[dicomgate.authenticators]\nacme = acme_login:Login\n"
GROUPS = "[dicomgate.commands]\nacme = acme_login:app\n"


def test_the_list_has_name_distribution_version_and_state(run: Any, distribution: Any) -> None:
    distribution("class Login:\n    handles = {None, 5}\n    def authenticate(self, attempt): ...\n", ENTRY_POINTS)
    result = run("plugins")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split("\t") == ["acme", "authenticator", "acme", "1.5", "5, none", "ready"]
    assert any(line.startswith("passcode\tauthenticator\tdicomgate-passcode\t") for line in result.stdout.splitlines())


def test_one_that_does_not_import_does_not_hide_the_others(run: Any, distribution: Any, one_line: Any) -> None:
    distribution("import no_such_module_anywhere", ENTRY_POINTS)
    result = run("plugins")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("does not import: ModuleNotFoundError: No module named 'no_such_module_anywhere'")
    assert lines[1].endswith("ready")
    assert "does not import" in one_line(run("plugins", "acme"), 2)


def test_the_keys_of_one(run: Any) -> None:
    result = run("plugins", "passcode")
    assert result.exit_code == 0
    assert '[[authenticator]] use = "passcode"\n\nThe users of an htpasswd file' in result.stdout
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert ["file", "path", "required"] in [row[:3] for row in rows]
    assert "The htpasswd file. `dicomgate passcode add` makes it;" in result.stdout
    assert ["unknown_user", '"reject" or "pass"', 'default "reject"'] in [row[:3] for row in rows]
    assert "timeout" in result.stdout.splitlines()[-1]
    assert "Raises" not in result.stdout


def test_a_default_is_shown_as_it_would_be_written(run: Any, distribution: Any) -> None:
    distribution(
        "from datetime import timedelta\nfrom pathlib import Path\n"
        "def login(wait: timedelta = timedelta(minutes=1), file: Path | None = None, on: bool = True): ...",
        ENTRY_POINTS.replace("Login", "login"),
    )
    lines = run("plugins", "acme").stdout.splitlines()
    assert 'wait\tduration\tdefault "1m"\t' in lines
    assert "file\tpath\tdefault none\t" in lines
    assert "on\ttrue or false\tdefault true\t" in lines


FIELDS = '''
from dataclasses import dataclass, field

@dataclass
class Base:
    """A class of its own."""

    first: str
    """What stands below it,
    on two lines."""
    second: int = 2
    """Said here,"""

@dataclass
class Login(Base):
    third: dict[str, str] = field(default_factory=dict)
    second: int = 3
    """and said better there."""
    fourth: list[str] = field(default_factory=lambda: ["a"])

    handles = {2}
    """No key at all."""
'''


def test_what_a_key_means_is_what_stands_below_its_field(run: Any, distribution: Any) -> None:
    distribution(FIELDS, ENTRY_POINTS)
    rows = [line.split("\t") for line in run("plugins", "acme").stdout.splitlines() if "\t" in line]
    assert rows == [
        ["first", "text", "required", "What stands below it, on two lines."],
        ["second", "number", "default 3", "and said better there."],
        ["third", "table", "default {}", ""],
        ["fourth", "list of texts", 'default ["a"]', ""],
    ]


@pytest.mark.parametrize("source", ["Login = type('Login', (), {})", "exec('class Login:\\n    x: int = 1')"])
def test_a_class_without_source_has_its_keys_all_the_same(source: str, run: Any, distribution: Any) -> None:
    distribution(source, ENTRY_POINTS)
    result = run("plugins", "acme")
    assert result.exit_code == 0
    assert "no keys of its own" in result.stdout


def test_a_name_that_is_not_there(run: Any, one_line: Any) -> None:
    assert "did you mean 'passcode'?" in one_line(run("plugins", "pascode"), 2)


def test_a_plugins_commands_are_added(run: Any, distribution: Any) -> None:
    distribution(
        "import typer\napp = typer.Typer()\n@app.command()\ndef one():\n    typer.echo('here')\n@app.command()\n"
        "def two(): ...\n",
        GROUPS,
    )
    assert run("acme", "one").stdout == "here\n"
    assert "acme" in run("--help").stdout


@pytest.mark.parametrize("source", ["import no_such_module_anywhere", "app = 5", "raise RuntimeError('no')"])
def test_a_command_group_that_does_not_import_says_why_and_hides_none(
    source: str, run: Any, distribution: Any, one_line: Any
) -> None:
    distribution(source, GROUPS)
    line = one_line(run("acme", "add", "alice", "--generate"), 2)
    assert line.startswith("the command acme of acme 1.5 does not import: ")
    assert run("passcode", "--help").exit_code == 0
    assert "does not import" in run("--help").stdout
    assert run("--help").exit_code == 0


def test_a_plugin_cannot_take_our_names(run: Any, distribution: Any) -> None:
    distribution("import typer\napp = typer.Typer()\n", GROUPS.replace("acme =", "check ="))
    assert "Check the configuration" in run("check", "--help").stdout
    assert run("--help").stdout.count(" check ") == 1


def test_the_demonstration_without_pynetdicom(run: Any, one_line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomgate.demo.command.find_spec", lambda name: None)
    assert "pip install . ./plugins/passcode" in one_line(run("demo"), 2)


def test_a_demonstration_that_does_not_import(run: Any, one_line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dicomgate.demo.command", None)
    assert "the command demo of dicomgate " in one_line(run("demo", "--keep"), 2)
    assert run("--help").exit_code == 0


def test_the_version(run: Any) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "dicomgate")


def test_an_unknown_command_or_option_is_wrong_usage(run: Any) -> None:
    for arguments in (("serv",), ("check", "--conect"), ("echo",)):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.output
