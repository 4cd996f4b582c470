"""The line of a key, for every way of writing one."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomgate.config.positions import Keys, line_of

FILE = """# a comment = 1
[gateway]                       # 2
node = "a"                      # 3
  artim="2s"                    # 4, indented

[[listener]]                    # 6
name = "one"                    # 7
tls = { certificate = "a" }     # 8
[[ listener ]]                  # 9
"name" = 'two = [[x]]'          # 10
'bind' = [                      # 11
    "a:1",
]
[listener.tls]                  # 14
certificate = "c"               # 15
[listener . "client ca"]        # 16
a.b = 1                         # 17
a . "c.d" = 2                   # 18
[[upstream]]                    # 19
name = "u"                      # 20
[[upstream.route]]              # 21
to = 1                          # 22
[[upstream.route]]              # 23
to = 2                          # 24
[[upstream]]                    # 25
[[upstream.route]]              # 26
to = 3                          # 27
[other.deep."x.y"]              # 28
z = 1                           # 29
"""
LINES: dict[Keys, int] = {
    ("gateway",): 2,
    ("gateway", "node"): 3,
    ("gateway", "artim"): 4,
    ("listener", 0): 6,
    ("listener", 0, "name"): 7,
    ("listener", 0, "tls"): 8,
    ("listener", 0, "tls", "certificate"): 8,
    ("listener", 1): 9,
    ("listener", 1, "name"): 10,
    ("listener", 1, "bind"): 11,
    ("listener", 1, "bind", 0): 11,
    ("listener", 1, "tls"): 14,
    ("listener", 1, "tls", "certificate"): 15,
    ("listener", 1, "client ca"): 16,
    ("listener", 1, "client ca", "a", "b"): 17,
    ("listener", 1, "client ca", "a", "c.d"): 18,
    ("upstream", 0, "name"): 20,
    ("upstream", 0, "route", 0, "to"): 22,
    ("upstream", 0, "route", 1): 23,
    ("upstream", 0, "route", 1, "to"): 24,
    ("upstream", 1): 25,
    ("upstream", 1, "route", 0, "to"): 27,
    ("other", "deep", "x.y", "z"): 29,
}


@pytest.mark.parametrize(("keys", "line"), LINES.items(), ids=str)
def test_every_way_of_writing_a_key(keys: Keys, line: int) -> None:
    value: Any = tomllib.loads(FILE)
    for key in keys:
        value = value[key]  # the control: TOML finds it there
    assert line_of(FILE, keys) == line


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("listener", 0, "missing"), 6),
        (("listener", 1, "tls", "missing"), 14),
        (("listener", 0, "tls", "missing"), 8),
        (("nowhere",), 1),
        ((), 1),
        (("listener", 7, "name"), 6),
    ],
)
def test_what_is_missing_has_the_line_of_its_table(keys: Keys, line: int) -> None:
    assert line_of(FILE, keys) == line


def test_only_a_newline_ends_a_line() -> None:
    """U+2028, a form feed and their like stand in comments and strings without beginning a line of TOML."""
    text = 'a = "\u2028\u2029\x85" # \u2028\n# \u2029\r\nb = 1\n'
    assert tomllib.loads(text)["b"] == 1
    assert line_of(text, ("b",)) == 3


@settings(deadline=None)
@given(st.text(), st.lists(st.text() | st.integers(), max_size=3))
def test_any_text_has_some_line(text: str, keys: list[str | int]) -> None:
    assert 1 <= line_of(text, tuple(keys)) <= text.count("\n") + 1


KEY = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)
VALUE = st.sampled_from(["1", '"x"', '"a = b"', "'[t]'", "[1, 2]", "{ q = 1 }", "true", '"#"', "1979-05-27"])
FILLER = st.sampled_from(["", "# [x]", "   # k = 1", "# \u2028 = "])


@st.composite
def generated(draw: st.DrawFn) -> tuple[str, dict[Keys, int]]:
    """A file of tables and arrays of tables, and where each of its keys stands."""
    lines: list[str] = []
    expected: dict[Keys, int] = {}
    names = draw(st.lists(KEY, unique=True, min_size=1, max_size=4))
    for name in names:
        count = draw(st.integers(0, 3))
        for index in range(count or 1):
            lines.append(draw(FILLER))
            lines.append(f"[[{name}]]" if count else f"[ {name} ] # it")
            path: Keys = (name, index) if count else (name,)
            expected[path] = len(lines)
            for key in draw(st.lists(KEY, unique=True, max_size=3)):
                quote = draw(st.sampled_from(["", '"', "'"]))
                lines.append(f"{draw(st.sampled_from(['', '  ']))}{quote}{key}{quote} = {draw(VALUE)}")
                expected[(*path, key)] = len(lines)
                lines.append(draw(FILLER))
            if draw(st.booleans()):
                lines.append(f"[{name}.below-it]")
                expected[(*path, "below-it")] = len(lines)
                lines.append("deep = 1")
                expected[(*path, "below-it", "deep")] = len(lines)
    return "\n".join(lines), expected


@settings(deadline=None)
@given(generated())
def test_every_key_of_a_generated_file_is_found(made: tuple[str, dict[Keys, int]]) -> None:
    text, expected = made
    tomllib.loads(text)
    assert {keys: line_of(text, keys) for keys in expected} == expected
