from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from dicomgate.cli.logs import JsonFormatter, Level, TextFormatter, configure
from dicomgate.kit.text import one_line

NASTY = "a\r\nb\x1b[31m\x00\x85\u2028\u202e\udc80 \u00e9"


def _record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("dicomgate.test", logging.WARNING, "file.py", 1, "%s", (message,), info)


def test_nothing_in_a_text_line_begins_another_or_moves_a_cursor() -> None:
    line = TextFormatter().format(_record(NASTY))
    assert line.isprintable()
    assert line.endswith(r"Z WARNING a\r\nb\x1b[31m\x00\x85\u2028\u202e\udc80 é")
    assert one_line("plain é") == "plain é"


def test_a_json_line_is_ascii_and_parses_to_what_was_said() -> None:
    line = JsonFormatter().format(_record(NASTY))
    assert line.isascii()
    assert line.isprintable()
    record = json.loads(line)
    assert (record["level"], record["logger"], record["message"]) == ("WARNING", "dicomgate.test", NASTY)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_of_an_exception_the_type_and_places_are_told_and_not_the_words(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("canary-secret")
    except ValueError as error:
        line = formatter.format(_record("it failed", error))
    assert "ValueError at test_logs.py:" in line
    assert "canary-secret" not in line
    assert "\n" not in line


def test_libraries_are_not_heard_at_debug_but_the_gateway_and_its_authenticators_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(Level.DEBUG, TextFormatter())
    logging.getLogger("some.library").debug("canary-secret")
    logging.getLogger("some.library").warning("of a library")
    logging.getLogger("dicomgate.server").debug("of the gateway")
    logging.getLogger("dicomgate_passcode.authenticator").debug("of an authenticator")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" of ")[2] for line in lines] == ["a library", "the gateway", "an authenticator"]


def test_configured_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    configure(Level.ERROR)
    logging.getLogger("dicomgate.server").warning("not heard")
    logging.getLogger("dicomgate.server").error("heard once")
    assert capsys.readouterr().err == "error: heard once\n"


def test_a_log_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def write(self, text: str) -> Any:
            raise OSError("gone")

    configure()
    monkeypatch.setattr(sys, "stderr", Broken())
    logging.getLogger("dicomgate.server").error("nobody hears it")
