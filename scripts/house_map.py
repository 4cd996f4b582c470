"""Write the maps of the house from the first line of each module's docstring.

Each package's docstring in the core ends with a map of its modules, and docs/architecture.md shows the whole house
with its plugins; tests/docs compares them with the modules. Run it without arguments after a module was added, moved
or described anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "src" / "dicomgate"
PAGE = ROOT / "docs" / "architecture.md"
_HEADING = "Modules:"
_LONGEST = 120


def first_line(path: Path) -> str:
    """The first line of a module's docstring, without its full stop. Raises ValueError if there is none."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    if not docstring:
        raise ValueError(f"{path}: no docstring")
    return docstring.splitlines()[0].removesuffix(".")


def rooms(folder: Path) -> list[tuple[str, str]]:
    """What is in a package: a name and a description for each module, then for each folder."""
    modules = sorted(path for path in folder.glob("*.py") if not path.name.startswith("__"))
    packages = sorted(path.parent for path in folder.glob("*/__init__.py"))
    return [(path.stem, first_line(path)) for path in modules] + [
        (f"{path.name}/", first_line(path / "__init__.py")) for path in packages
    ]


def package_map(folder: Path) -> str:
    """The end of a package's docstring. Raises ValueError if a line of it would be too long."""
    lines = list(_rows(rooms(folder), indent=4))
    if long := [line for line in lines if len(line) > _LONGEST]:
        raise ValueError("shorten the first line of these docstrings:\n" + "\n".join(long))
    return "\n".join([_HEADING, "", *lines])


def house_map() -> str:
    """The whole house with its plugins, as docs/architecture.md shows it."""
    lines = ["src/dicomgate/", *_rows([room for room in rooms(HOUSE) if not room[0].endswith("/")], indent=2)]
    folders = {f"  {path.parent.name}/": path.parent for path in sorted(HOUSE.glob("*/__init__.py"))}
    plugins = {f"plugins/{path.parents[2].name}/": path.parent for path in ROOT.glob("plugins/*/src/*/__init__.py")}
    for name, folder in [*folders.items(), *sorted(plugins.items())]:
        lines += ["", f"{name:<24}{first_line(folder / '__init__.py')}", *_rows(rooms(folder), indent=4)]
    return "\n".join(["```text", *lines, "```"])


def _rows(found: list[tuple[str, str]], indent: int) -> Iterator[str]:
    width = max((len(name) for name, _ in found), default=0)
    yield from (f"{' ' * indent}{name:<{width}}  {text}" for name, text in found)


def rewritten(source: str, folder: Path) -> str:
    """A package's `__init__.py` with the map at the end of its docstring made anew."""
    docstring, rest = source.removeprefix('"""').split('"""', 1)
    text = docstring.partition(f"\n{_HEADING}\n")[0].rstrip()
    return f'"""{text}\n\n{package_map(folder)}\n"""{rest}'


def rewritten_page(page: str) -> str:
    """The page with the map between its markers made anew. Raises ValueError if a marker is missing."""
    pattern = re.compile(r"(<!-- begin house -->\n).*?(<!-- end house -->)", re.DOTALL)
    page, found = pattern.subn(lambda match: f"{match[1]}\n{house_map()}\n\n{match[2]}", page)
    if found != 1:
        raise ValueError(f"the markers of the house are there {found} times")
    return page


if __name__ == "__main__":
    for path in [HOUSE / "__init__.py", *HOUSE.glob("*/__init__.py")]:
        path.write_text(rewritten(path.read_text("utf-8"), path.parent), "utf-8")
    PAGE.write_text(rewritten_page(PAGE.read_text("utf-8")), "utf-8")
