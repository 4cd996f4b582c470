"""The laws of a page find each thing that is wrong in one, and nothing in a right one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

from dicomgate.testing import pages
from dicomgate.testing.page_contract import REQUIRED, Keys, defaults, documented
from dicomgate.testing.pages import authenticators, configurations, table, undocumented_messages

PAGE = """
# Ward

| key | meaning | default |
| --- | --- | --- |
| `file` | The users. | required |
| `realm` | Theirs. | the system's |
| `wait` | How long. | `"2s"` |
| `kinds` | Which. | `["a", "b"]` |
| `mode` | `"a\\|b"` | `"a"` |
| `seen` | Of each. | empty |

## Log

| level | message |
| --- | --- |
| info | `FILE: loaded, 2 keys` |
| error | `not loaded: ...` |

```toml
[[authenticator]]
use = "ward"
```

```toml second
[[authenticator]]
use = "other"
```
"""
SOURCE = """
_log.info("%s: loaded, %d keys", 1, 2)
_log.exception("not loaded: %s", 1)
other.info("is not ours")
"""


@dataclass
class Ward:
    file: Path
    realm: str | None = None
    wait: timedelta = timedelta(seconds=2)
    kinds: tuple[str, ...] = ("a", "b")
    mode: Literal["a", "b"] = "a"
    seen: dict[str, int] = field(default_factory=dict)


WORDS = {"the system's": None}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.setattr(pages, "ROOT", tmp_path)

    def page(text: str) -> Path:
        path = tmp_path / "ward.md"
        path.write_text(text)
        return path

    return page


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    def package(source: str) -> ModuleType:
        (tmp_path / "ward_package").mkdir()
        (tmp_path / "ward_package" / "__init__.py").touch()
        (tmp_path / "ward_package" / "ward.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "ward_package", raising=False)
        return import_module("ward_package")

    return package


def test_a_right_page(page: Callable[[str], Path], package: Callable[[str], ModuleType]) -> None:
    right = page(PAGE)
    assert documented(right, Keys(Ward, under="Ward"), WORDS) == defaults(Ward)
    assert defaults(Ward)["file"] == REQUIRED
    assert undocumented_messages(right, package(SOURCE)) == []
    assert table(right, "key")[4] == ["`mode`", '`"a|b"`', '`"a"`']
    assert [one["use"] for one in authenticators(right)] == ["ward", "other"]
    assert configurations(right, "second") == [{"authenticator": [{"use": "other"}]}]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('`"2s"`', '`"3s"`'),
        ("`realm`", "`realms`"),
        ("| `seen` | Of each. | empty |\n", ""),
        ("required", "none"),
        ('"a", "b"', '"b", "a"'),
    ],
)
def test_a_wrong_default_is_found(page: Callable[[str], Path], before: str, after: str) -> None:
    assert before in PAGE
    assert documented(page(PAGE.replace(before, after)), Keys(Ward), WORDS) != defaults(Ward)


def test_a_default_that_is_neither_toml_nor_a_known_word(page: Callable[[str], Path]) -> None:
    with pytest.raises(LookupError, match="the system's"):
        documented(page(PAGE), Keys(Ward), {})


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ('_log.info("gone")', ["info: gone"]),
        ('_log.error("%s: loaded, %d keys", 1, 2)', ["error: %s: loaded, %d keys"]),  # the level is another one
        ('_log.info("%s: loaded, %s users", 1, 2)', ["info: %s: loaded, %s users"]),
    ],
)
def test_a_message_that_the_page_lacks_is_found(
    page: Callable[[str], Path], package: Callable[[str], ModuleType], more: str, found: list[str]
) -> None:
    assert undocumented_messages(page(PAGE), package(SOURCE + more)) == found


def test_what_is_not_there_is_an_error(page: Callable[[str], Path], package: Callable[[str], ModuleType]) -> None:
    with pytest.raises(LookupError, match="0 tables with the head 'keys'"):
        table(page(PAGE), "keys")
    with pytest.raises(LookupError, match="2 tables with the head 'level'"):
        table(page(PAGE + PAGE), "level")
    with pytest.raises(LookupError, match="logs nothing"):
        undocumented_messages(page(PAGE), package(""))
