"""The pages of proof hold what they name: every requirement has its answer, every test that is named is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dicomgate.testing.pages import DOCS, ROOT, name, rows, text

ASVS = DOCS / "asvs.md"
PROOF = (ASVS, DOCS / "mds2.md", DOCS / "ihe.md", DOCS / "threat-model.md", DOCS / "inventory.md")
NUMBERS = ROOT / "tests" / "docs" / "asvs-5.0.0.txt"
SERVED = [
    path
    for folder in (ROOT / "src" / "dicomgate", *ROOT.glob("plugins/*/src"))
    for path in folder.rglob("*.py")
    if not {"testing", "demo"} & set(path.parts)
]
"""What runs in a gateway: not the demonstration, not the kit for tests."""


def requirements() -> dict[str, str]:
    """Every requirement of level 1 and 2, and its level."""
    found, level = dict[str, str](), ""
    for line in text(NUMBERS).splitlines():
        if line.startswith("# level"):
            level = line.split()[-1]
        elif not line.startswith("#"):
            found |= dict.fromkeys(line.split(), level)
    return found


def answers() -> list[tuple[list[str], str, str, str]]:
    """The rows of the page: requirements, level, answer, what shows it."""
    found = [row for row in rows(text(ASVS)) if len(row) == 4 and re.match(r"\d+\.\d", row[0])]
    return [(row[0].split(", "), *row[1:]) for row in found]  # type: ignore[misc]


def test_every_requirement_of_asvs_has_one_answer() -> None:
    wanted = requirements()
    assert Counter(wanted.values()) == {"1": 70, "2": 183}
    answered = [(number, level) for numbers, level, _, _ in answers() for number in numbers]
    assert answered == sorted(answered, key=lambda one: [*map(int, one[0].split("."))])
    assert dict(answered) == wanted
    assert len(answered) == len(wanted), "none twice"


def test_the_figures_of_the_page_are_those_of_its_rows() -> None:
    counted = Counter[str]()
    for numbers, _, answer, _ in answers():
        counted[answer] += len(numbers)
    said = {row[0]: int(row[2]) for row in rows(text(ASVS)) if row[0] in ("yes", "if set", "no", "-")}
    assert said == dict(counted)


def test_a_yes_names_what_shows_it_and_a_no_is_a_gap() -> None:
    page = text(ASVS)
    gaps = {number for row in rows(page.split("## V1 ")[0]) for number in re.findall(r"\d+\.\d+\.\d+", row[0])}
    assert gaps == {number for numbers, _, answer, _ in answers() if answer == "no" for number in numbers}
    for numbers, _, answer, shown in answers():
        if answer == "yes" and numbers != ["6.4.2"]:  # what is not there cannot be shown
            assert re.search(r"`[^`]+(::test_\w+|\.\w+)`|\]\(", shown), numbers
        assert answer != "-" or len(shown) > 5


def questions(listed: str) -> Iterator[str]:
    """The numbers in a cell such as "DOC-11, DOC-11.1 to 11.4"."""
    group = ""
    for named, first, last in re.findall(r"(?:([A-Z]{3,4})-)?(\d[\d.]*)(?: to (?:[A-Z]{4}-)?(\d[\d.]*))?", listed):
        group = named or group
        *above, number = first.split(".")
        for one in range(int(number), int((last or first).split(".")[-1]) + 1):
            yield f"{group}-{'.'.join([*above, str(one)])}"


def test_every_question_of_mds2_has_one_answer() -> None:
    asked = [line.split() for line in text(ROOT / "tests" / "docs" / "mds2-2019.txt").splitlines()[1:]]
    wanted = [f"{group}-{number}" for group, *numbers in asked for number in numbers]
    assert len(wanted) == 240
    answered = [number for row in rows(text(DOCS / "mds2.md")) for number in questions(row[0])]
    assert sorted(answered) == sorted(wanted)


@cache
def named_tests() -> Counter[str]:
    found = Counter[str]()
    for path in [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/test_*.py")]:
        if "node_modules" not in path.parts:
            found.update(f"{path.name}::{test}" for test in set(re.findall(r"def (test_\w+)\(", text(path))))
    return found


@pytest.mark.parametrize("page", [page for page in PROOF if page.exists()], ids=name)
def test_each_test_and_file_that_is_named_is_there(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", text(page)))
    assert {test: named_tests()[test] for test in named} == dict.fromkeys(named, 1)
    files = set(re.findall(r"`((?:src|plugins|tests|scripts|deploy|release)/[\w./-]+)`", text(page)))
    assert [path for path in sorted(files) if not (ROOT / path).exists()] == []


def test_the_gateway_runs_no_command_and_evaluates_no_text() -> None:
    forbidden = {"subprocess", "pickle", "marshal", "shelve", "code", "pty"}
    called = {"eval", "exec", "compile", "__import__", "system", "popen", "execv", "execve", "spawnv", "posix_spawn"}
    found = []
    for path in SERVED:
        for node in ast.walk(ast.parse(text(path))):
            match node:
                case ast.Import(names=names) if forbidden & {one.name.partition(".")[0] for one in names}:
                    found.append(f"{path}:{node.lineno}")
                case ast.ImportFrom(module=str(module)) if not node.level and module.partition(".")[0] in forbidden:
                    found.append(f"{path}:{node.lineno}")
                case ast.Call(func=ast.Name(id=function)) if function in called:
                    found.append(f"{path}:{node.lineno}")
                case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr=function)) if function in called:
                    found.append(f"{path}:{node.lineno}")
    assert found == []
    assert len(SERVED) > 200


def test_random_numbers_are_the_systems() -> None:
    users = {path.name for path in SERVED if re.search(r"^(import random|from random )", text(path), re.MULTILINE)}
    assert users == {"sender.py", "guard.py"}, "they spread attempts in time, and need nothing that cannot be guessed"
    assert any("import secrets" in text(path) for path in SERVED)
