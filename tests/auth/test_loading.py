"""Entry points of fake distributions -> authenticators, options and messages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dicomgate import ConfigError, DicomgateError, PluginError
from dicomgate.auth.kind import AUTHENTICATORS
from dicomgate.auth.loading import Option, find, installed, make, options

SECRET = "canary-7f3a91"
Install = Callable[..., None]
HEAD = """
from __future__ import annotations
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union
from pydantic import BaseModel, Field, FilePath, SecretStr
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with one module and one entry point on the path; the source is that of the module."""
    made = []
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(source: str, value: str = "Made", name: str = "fake", distribution: str = "dicomgate-fake") -> None:
        module = distribution.replace("-", "_") + "_module"
        made.append(module)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        reference = value if ":" in value else f"{module}:{value}"
        (info / "entry_points.txt").write_text(f"[{AUTHENTICATORS.group}]\n{name} = {reference}\n")
        (tmp_path / f"{module}.py").write_text(dedent(source))
        importlib.invalidate_caches()

    yield install
    for module in made:
        sys.modules.pop(module, None)


def problems(error: pytest.ExceptionInfo[ConfigError]) -> dict[str, str]:
    return {".".join(map(str, keys)): message for keys, message in error.value.problems}


def whole(error: BaseException | None) -> str:
    """All that a traceback would show of an exception and of what led to it."""
    shown = []
    while error is not None:
        shown.append(f"{error!s} {error!r}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(shown)


# -- finding ----------------------------------------------------------------------------------------------------------


def test_what_is_installed_is_found_without_an_import(install: Install) -> None:
    install("raise RuntimeError('imported')")
    point = installed()["fake"]
    assert (point.name, point.dist and point.dist.name) == ("fake", "dicomgate-fake")
    assert list(installed()) == sorted(installed())


def test_what_is_not_installed_has_its_nearest_name_told(install: Install) -> None:
    install("class Made: pass")
    with pytest.raises(
        PluginError, match=r"^no authenticator is called 'fakke', did you mean 'fake'\?; installed are: "
    ):
        find("fakke")
    with pytest.raises(PluginError, match=r"^no authenticator is called 'zebra'; installed are: .*fake") as it:
        find("zebra")
    assert "did you mean" not in str(it.value)
    assert callable(find("fake"))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise RuntimeError('lxml & xmlsec libxml2 library version mismatch')", "RuntimeError: lxml & xmlsec"),
        ("raise SystemExit('not on this machine')", "SystemExit: not on this machine"),
        ("class Odd(Exception): pass\nraise Odd('two\\nlines')", "Odd: two lines"),
        ("def Made(:", "SyntaxError: "),
        ("import ctypes; ctypes.CDLL('libnothere.so')", "OSError: libnothere.so"),
        ("other = 1", "AttributeError: "),
        ("assert False, 'no'", "AssertionError: no"),
    ],
)
def test_what_does_not_import_is_told_apart(install: Install, source: str, why: str) -> None:
    install(source)
    with pytest.raises(PluginError) as it:
        find("fake")
    assert str(it.value).startswith("authenticator 'fake' of dicomgate-fake 1.2 is installed but does not import: ")
    assert why in str(it.value)
    assert "\n" not in str(it.value)


def test_what_is_not_callable_is_told(install: Install) -> None:
    install("Made = {'a': 1}")
    with pytest.raises(PluginError, match="its entry point dicomgate_fake_module:Made is not callable"):
        find("fake")


def test_two_distributions_of_one_name_are_ambiguous_but_not_one_that_is_seen_twice(install: Install) -> None:
    install("class Made: pass")
    install("", value="dicomgate_fake_module:Made", distribution="dicomgate-fake-again")
    assert find("fake").__name__ == "Made"
    install("class Made: pass", distribution="other")
    with pytest.raises(PluginError, match="'fake' is provided by more than one installed distribution"):
        find("fake")


# -- options ----------------------------------------------------------------------------------------------------------

ANNOTATED = {
    "Path": ("users", "FOLDER/users"),
    "Path | None": ("users", "FOLDER/users"),
    "Optional[Path]": ("/etc/users", "/etc/users"),
    "list[Path]": (["a", "/b"], ["FOLDER/a", "/b"]),
    "Sequence[Path]": (["a"], ["FOLDER/a"]),
    "dict[str, Path]": ({"x": "a"}, {"x": "FOLDER/a"}),
    "Mapping[str, Path]": ({"x": "a"}, {"x": "FOLDER/a"}),
    "tuple[Path, ...]": (["a", "b"], ("FOLDER/a", "FOLDER/b")),
    "Annotated[Path, Field(description='d')]": ("a", "FOLDER/a"),
    "FilePath": ("dicomgate_fake_module.py", "FOLDER/dicomgate_fake_module.py"),
    "timedelta": ("2s", "0:00:02"),
    "timedelta | None": ("1.5h", "1:30:00"),
    "Annotated[timedelta, Field()]": ("500ms", "0:00:00.500000"),
    "list[timedelta]": (["1s", "1m"], ["0:00:01", "0:01:00"]),
    "Literal['a', 'b']": ("b", "b"),
    "Literal['a'] | None": ("a", "a"),
    "list[Literal['x']]": (["x"], ["x"]),
    "bool": (True, True),
    "int": (5, 5),
    "float": (1, 1.0),
    "str": ("x", "x"),
    "frozenset[str]": (["x"], frozenset({"x"})),
    "SecretStr": (SECRET, SECRET),
    "list[str]": (["x"], ["x"]),
    "Any": ({"x": [1]}, {"x": [1]}),
    "dict[str, int]": ({"x": 1}, {"x": 1}),
    "Union[int, list[int]]": ([1], [1]),
}


def plain(value: Any, folder: Path) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: plain(item, folder) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item, folder) for item in value)
    if isinstance(value, bool | int | float | frozenset | str):
        return value
    return str(value).replace(str(folder), "FOLDER")


@pytest.mark.parametrize("annotation", ANNOTATED)
def test_an_option_is_read_by_its_annotation(install: Install, tmp_path: Path, annotation: str) -> None:
    given, expected = ANNOTATED[annotation]
    install(f"{HEAD}\nclass Made:\n    def __init__(self, *, it: {annotation}): self.it = it\n")
    made: Any = make("fake", {"it": given}, tmp_path)
    assert plain(made.it, tmp_path) == expected


CALLABLES = {
    "dataclass": """
        @dataclass
        class Made:
            file: Path
            wait: timedelta = timedelta(seconds=1)
        """,
    "dataclass, keyword-only, with slots": """
        @dataclass(kw_only=True, slots=True)
        class Made:
            own: int = field(init=False, default=0)
            file: Path
            wait: timedelta = timedelta(seconds=1)
        """,
    "class": """
        class Made:
            def __init__(self, file: Path, *, wait: timedelta = timedelta(seconds=1), **more: Any):
                self.file, self.wait = file, wait
        """,
    "function": """
        class Thing: ...

        def Made(file: Path, wait: timedelta = timedelta(seconds=1)):
            thing = Thing()
            thing.file, thing.wait = file, wait
            return thing
        """,
    "pydantic model": """
        class Made(BaseModel):
            file: Path
            wait: timedelta = timedelta(seconds=1)
        """,
}


@pytest.mark.parametrize("source", CALLABLES.values(), ids=CALLABLES)
def test_a_callable_of_any_kind_is_its_own_schema(install: Install, tmp_path: Path, source: str) -> None:
    install(HEAD + dedent(source))
    made: Any = make("fake", {"file": "users", "wait": "2m"}, tmp_path)
    assert (made.file, made.wait.total_seconds()) == (tmp_path / "users", 120)
    made = make("fake", {"file": "users"}, tmp_path)
    assert made.wait.total_seconds() == 1
    assert [(it.name, it.required) for it in options(find("fake"))] == [("file", True), ("wait", False)]
    with pytest.raises(ConfigError) as it:
        make("fake", {"wait": 2, "flie": "users", "own": 1}, tmp_path)
    assert problems(it)["file"] == "is missing"
    assert problems(it)["flie"] == "unknown key, did you mean 'file'?; known are: file, wait"
    assert problems(it)["own"] == "unknown key; known are: file, wait"
    assert problems(it)["wait"].startswith("a duration is a number with a unit in quotes")


def test_the_options_are_told_with_type_and_default(install: Install) -> None:
    install(f"{HEAD}\ndef Made(hidden: Path, /, first: Path, *, kind: Optional[Literal['a']] = None, free=5, **_): ...")
    assert options(lambda paths=(Path("a"),): paths) == [Option("paths", "anything", '["a"]', False)]
    first, kind, free = options(find("fake"))
    assert first == Option("first", "path", "", True)
    assert (kind.name, kind.required) == ("kind", False)
    assert kind.type == '"a"'
    assert free == Option("free", "anything", "5", False)


NAMES = ["json", "schema", "copy", "model_config", "model_fields", "dict", "fields", "keys", "items", "validate"]


def test_no_name_of_a_key_is_special(install: Install, tmp_path: Path) -> None:
    parameters = ", ".join(f"{name}: str" for name in NAMES)
    install(f"class Made:\n    def __init__(self, *, {parameters}):\n        self.got = {{**locals()}}")
    made: Any = make("fake", {name: f"of {name}" for name in NAMES}, tmp_path)
    assert {name: made.got[name] for name in NAMES} == {name: f"of {name}" for name in NAMES}
    with pytest.raises(ConfigError) as it:
        make("fake", dict.fromkeys(NAMES, 5), tmp_path)
    assert list(problems(it)) == NAMES


WRONG = {
    "int": SECRET,
    "bool": SECRET,
    "Path": 5,
    "timedelta": SECRET,
    "list[str]": SECRET,
    "list[int]": [SECRET],
    "Literal['a', 'b']": SECRET,
    "dict[str, int]": {"x": SECRET},
    "SecretStr": [SECRET],
    "str": [SECRET],
    "int | timedelta": SECRET,
    "Annotated[str, Field(max_length=3)]": SECRET,
    "Annotated[SecretStr, Field(min_length=99)]": SECRET,
}


@pytest.mark.parametrize("annotation", WRONG)
def test_a_wrong_value_is_told_by_its_key_and_never_repeated(install: Install, tmp_path: Path, annotation: str) -> None:
    install(f"{HEAD}\ndef Made(*, it: {annotation}, other: int): ...")
    with pytest.raises(ConfigError) as caught:
        make("fake", {"it": WRONG[annotation], "other": 1, "more": SECRET}, tmp_path)
    assert any(str(keys[0]) == "it" for keys, _ in caught.value.problems)
    assert "more" in problems(caught)
    assert SECRET not in whole(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("raise ValueError('users: line 3 has no colon')", ConfigError, "users: line 3 has no colon"),
        ("open('/no/such/file')", ConfigError, "No such file or directory: '/no/such/file'"),
        ("from dicomgate import ConfigError; raise ConfigError('mine')", ConfigError, "^mine$"),
        ("from dicomgate import StartError; raise StartError('out of reach')", DicomgateError, "^out of reach$"),
        ("raise KeyError(it)", PluginError, r"'fake' has a defect: KeyError in dicomgate_fake_module.py:\d+"),
        ("raise RuntimeError(it)", PluginError, "RuntimeError in dicomgate_fake_module.py"),
        ("assert not it, it", PluginError, "AssertionError in dicomgate_fake_module.py"),
        ("Inner(secret=it)", ConfigError, "^secret: must have at most 3 characters$"),
    ],
)
def test_what_the_callable_raises_is_a_dicomgate_error(
    install: Install, tmp_path: Path, body: str, kind: type[Exception], said: str
) -> None:
    inner = "class Inner(BaseModel):\n    secret: Annotated[str, Field(max_length=3)]\n"
    install(f"{HEAD}\n{inner}\ndef Made(*, it: str):\n    {body}\n    return it")
    with pytest.raises(kind, match=said) as caught:
        make("fake", {"it": SECRET}, tmp_path)
    assert SECRET not in whole(caught.value)
    assert isinstance(caught.value, DicomgateError)


@pytest.mark.parametrize(
    "source",
    [
        "def Made(it: NoSuchName): ...",
        "def Made(it: 'Path |'): ...",
        "def Made(it: Path.nothing): ...",
        "def Made(it: list['Unknown']): ...",
        "def Made(it: 1 / 0): ...",
        "def Made(required, /): ...",
    ],
)
def test_a_signature_that_cannot_be_used_is_the_plugins_defect(install: Install, tmp_path: Path, source: str) -> None:
    install(HEAD + source)
    with pytest.raises(PluginError):
        make("fake", {"it": "x"} if "it:" in source else {}, tmp_path)


def test_any_class_may_be_an_annotation(install: Install, tmp_path: Path) -> None:
    """It cannot come from TOML, but it must not keep the others from being read."""
    install(f"{HEAD}\nclass Clock: ...\ndef Made(it: int, clock: Clock | None = None): return [it]")
    assert make("fake", {"it": 5}, tmp_path) == [5]
    with pytest.raises(ConfigError, match="clock: must be an instance of Clock"):
        make("fake", {"it": 5, "clock": "now"}, tmp_path)


def test_an_option_that_would_never_be_reached_is_told() -> None:
    def late(timeout: int) -> None: ...

    with pytest.raises(PluginError, match="has an option 'timeout', which is a key of the gateway's own"):
        options(late)
