"""What a terminal shows: a row of a long list is one line, however narrow the terminal is."""

from __future__ import annotations

import sys

import pytest

from dicomgate.cli.output import print_lines, print_table


def test_an_id_can_be_copied_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    row = ("a97d11a4b3bf", "x" * 40, "a\nb")
    for is_terminal, shown in (True, f"id            from{' ' * 38}end\n{row[0]}  {row[1]}  a\\nb\n"), (False, None):
        monkeypatch.setattr(sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal)
        print_lines(("id", "from", "end"), [row])
        assert capsys.readouterr().out == (shown or f"{row[0]}\t{row[1]}\ta\\nb\n")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("id", "from", "end"), [row])
    assert row[0] not in capsys.readouterr().out, "a table folds it"
