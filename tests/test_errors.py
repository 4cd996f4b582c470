"""The tree of exceptions, as it is drawn at the top of its file."""

from __future__ import annotations

import pytest

from dicomgate import ConfigError, DicomgateError, PluginError, StartError, errors
from dicomgate.errors import DoesNotFit, PduError, Problem, place

SECRET = "canary-7f3a91"


def test_the_tree_is_the_one_that_is_drawn() -> None:
    for kind in (ConfigError, PluginError, StartError, PduError, DoesNotFit):
        assert issubclass(kind, DicomgateError)
        assert kind.__name__ in (errors.__doc__ or "")
    assert issubclass(PluginError, ConfigError)
    assert not issubclass(StartError, ConfigError)
    assert not issubclass(DicomgateError, (ValueError, OSError))


def test_a_config_error_has_all_its_problems() -> None:
    error = ConfigError([Problem(("listener", 0, "name"), "is missing"), Problem((), "nothing to listen on")])
    assert str(error) == "listener.0.name: is missing\nnothing to listen on"
    assert error.problems == (Problem(("listener", 0, "name"), "is missing"), Problem((), "nothing to listen on"))
    assert ConfigError("one sentence").problems == (Problem((), "one sentence"),)
    assert str(PluginError("one sentence")) == "one sentence"


def test_a_pdu_error_carries_its_answer() -> None:
    error = PduError("why", b"\x07\x00")
    assert (str(error), error.reply) == ("why", b"\x07\x00")


def test_a_place_is_a_type_and_a_line_and_never_a_message() -> None:
    with pytest.raises(KeyError) as it:
        raise KeyError(SECRET)
    assert place(it.value).startswith("KeyError in test_errors.py:")
    assert SECRET not in place(it.value)
    assert place(KeyError(SECRET)) == "KeyError"
