"""What is wrong with a table, in words: by key, each once, and no value of one type taken for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from dicomgate import ConfigError
from dicomgate.auth.loading import construct
from dicomgate.auth.problems import describe_problems, nearest
from dicomgate.errors import Problem

SECRET = "canary-7f3a91"


@dataclass(kw_only=True)
class Device:
    networks: Sequence[str] = ()
    anywhere: bool = False
    key: Path | None = None


@dataclass(kw_only=True)
class Ward:
    strict: bool = True
    most: int = 1
    share: float = 0.5
    wait: timedelta = timedelta(seconds=1)
    one_or_more: str | list[str] = "x"
    names: Sequence[str] = ()
    mode: Literal["a", "b"] | None = None
    devices: Mapping[str, Device] = field(default_factory=dict)

    def authenticate(self, attempt: object) -> object: ...


RIGHT = {
    "strict": False, "most": 2, "share": 1, "wait": "2s", "one_or_more": ["a"], "names": ["b"], "mode": "b",
    "devices": {"CT": {"networks": ["10.0.0.1"], "anywhere": True, "key": "ct.pem"}},
}  # fmt: skip


def test_what_is_right_is_taken() -> None:
    made = construct("ward", Ward, RIGHT, Path("/etc/gate"))
    assert isinstance(made, Ward)
    assert (made.strict, made.most, made.share, made.one_or_more) == (False, 2, 1, ["a"])
    assert made.devices == {"CT": Device(networks=["10.0.0.1"], anywhere=True, key=Path("/etc/gate/ct.pem"))}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("strict", "yes", "strict: must be true or false, without quotes; this is text"),
        ("strict", 1, "strict: must be true or false, without quotes; this is a number"),
        ("most", True, "most: must be a whole number, without quotes; this is true or false"),
        ("most", "2", "most: must be a whole number, without quotes; this is text"),
        ("most", 2.0, "most: must be a whole number, without quotes; this is a number"),
        ("share", "0.5", "share: must be a number, without quotes; this is text"),
        ("wait", 2, 'wait: a duration is a number with a unit in quotes: "500ms", "2s", "5m", "1h", "7d"'),
        (
            "one_or_more",
            5,
            'one_or_more: must be text, in quotes, or a list, in square brackets: ["one", "two"]; this is a number',
        ),
        ("names", "b", 'names: must be a list, in square brackets: ["one", "two"]; this is text'),
        ("names", [5], "names.0: must be text, in quotes; this is a number"),
        ("mode", SECRET, 'mode: must be "a" or "b"'),
        ("devices", [], "devices: must be a table: { key = value }; this is a list"),
        ("devices", {"CT": {"anywhere": "no"}}, "devices.CT.anywhere: must be true or false, without quotes; this is"),
        (
            "devices",
            {"CT": {"netwrks": []}},
            "devices.CT.netwrks: unknown key, did you mean 'networks'?; known are: networks, anywhere, key",
        ),
        ("stric", True, "stric: unknown key, did you mean 'strict'?; known are: strict, most, share,"),
    ],
)
def test_a_value_of_another_type_is_told_and_not_taken(key: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as it:
        construct("ward", Ward, {**RIGHT, key: value}, Path())
    (problem,) = it.value.problems
    assert str(problem).startswith(said)
    assert SECRET not in str(problem)


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("fiel", ["file", "users"], ", did you mean 'file'?"),
        ("zzz", ["file"], ""),
        ("", ["file"], ""),
        ("file", [], ""),
    ],
)
def test_nearest(name: str, known: list[str], said: str) -> None:
    assert nearest(name, known) == said


def test_problems_of_an_unknown_key_without_any_known() -> None:
    class Empty(BaseModel, extra="forbid"):
        pass

    with pytest.raises(ValueError, match="extra") as it:
        Empty.model_validate({"a": SECRET})
    found = describe_problems(it.value, {}, lambda keys: [])  # type: ignore[arg-type]
    assert found == [Problem(("a",), "unknown key; known are: none")]
