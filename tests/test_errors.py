"""The tree of exceptions, as it is drawn at the top of its file."""

from __future__ import annotations

import re

import pytest

from dicomgate import ConfigError, DicomgateError, PluginError, errors
from dicomgate.errors import Problem, place
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError

SECRET = "canary-7f3a91"


def drawn() -> dict[str, str]:
    """Each exception of the drawing, and the one above it."""
    parents, above = {"DicomgateError": "DicomgateError"}, ["DicomgateError"]
    for indent, name in re.findall(r"^    ([| ]*)\+-- (\w+) ", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4 + 1
        above[depth:] = [name]
        parents[name] = above[depth - 1]
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    ours = {kind.__name__: kind for kind in (*vars(errors).values(), PduError) if isinstance(kind, type)}
    ours = {name: kind for name, kind in ours.items() if issubclass(kind, DicomgateError)}
    assert drawn().keys() == ours.keys()
    for name, above in drawn().items():
        assert name == above or ours[name].__bases__ == (ours[above],)
    assert not issubclass(DicomgateError, (ValueError, OSError))


def test_a_config_error_has_all_its_problems() -> None:
    error = ConfigError([Problem(("listener", 0, "name"), "is missing"), Problem((), "nothing to listen on")])
    assert str(error) == "listener.0.name: is missing\nnothing to listen on"
    assert error.problems == (Problem(("listener", 0, "name"), "is missing"), Problem((), "nothing to listen on"))
    assert ConfigError("one sentence").problems == (Problem((), "one sentence"),)
    assert str(PluginError("one sentence")) == "one sentence"


def test_a_pdu_error_carries_its_answer() -> None:
    error = PduError("why", INVALID_PARAMETER)
    assert (str(error), error.answer) == ("why", INVALID_PARAMETER)


def test_a_place_is_a_type_and_a_line_and_never_a_message() -> None:
    with pytest.raises(KeyError) as it:
        raise KeyError(SECRET)
    assert place(it.value).startswith("KeyError in test_errors.py:")
    assert SECRET not in place(it.value)
    assert place(KeyError(SECRET)) == "KeyError"
