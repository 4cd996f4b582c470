"""The house keeps its floors: this test reads every import and says which law an unlawful one breaks.

The laws are those of docs/architecture.md. A new module must be given its floor here before it may be imported.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src" / "dicomgate"

FLOORS = {
    "contract": 0, "errors": 0, "kit": 0, "events": 0,
    "wire": 1, "auth": 1, "state": 1,
    "protection": 2, "rights": 2, "sessions": 2, "credentials": 2, "association": 2,
    "net": 3, "audit": 3,
    "config": 4, "run": 4, "scu": 4,
    "admin": 5,
    "cli": 6,
    "testing": 7, "demo": 7,
}  # fmt: skip
WINGS = {"wire", "auth", "state"}
IN_THE_LOOP = {"connecting", "fetch", "host", "line", "race", "refreshed", "threads", "verified", "watched"}
MAY_IMPORT: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "asyncio": lambda module: (
        module[0] in ("auth", "state", "protection", "sessions")
        or (module[0] == "kit" and module[-1] in IN_THE_LOOP)
        or FLOORS[module[0]] >= 3
    ),
    "ssl": lambda module: (
        module in (("net", "tls"), ("net", "tls_context"), ("net", "tls_stream"), ("kit", "authorities"))
        or module == ("audit", "connection")
        or module[0] == "testing"
    ),
    "httpx2": lambda module: module == ("kit", "fetch") or module[0] == "testing",
    "sqlite3": lambda module: module[0] == "state",
    "redis": lambda module: module[0] == "state" and module[-1].startswith("redis"),
    "prometheus_client": lambda module: module == ("admin", "collector"),
    **dict.fromkeys(("jinja2", "starlette", "uvicorn"), lambda module: module[:2] == ("admin", "web")),
    "logging": lambda module: module[0] != "wire",
    "pynetdicom": lambda module: module[0] in ("demo", "testing"),
}


def imports(source: str, package: tuple[str, ...]) -> Iterator[str]:
    """Every module that a source imports, absolute, wherever in the source the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            parts = base + (node.module.split(".") if node.module else [])
            yield ".".join(parts)
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def breaches(source: str, module: tuple[str, ...]) -> list[str]:
    """The laws that one module of the house breaks, in words; `module` is its path below `dicomgate`."""
    own = module[0]
    found = []
    for name in imports(source, ("dicomgate", *module[:-1])):
        top, *rest = name.split(".")
        if top in MAY_IMPORT and not MAY_IMPORT[top](module):
            found.append(f"{'.'.join(module)} imports {top}, which does not live there")
        if top == "dicomgate_passcode" or top.startswith("dicomgate_"):
            found.append(f"{'.'.join(module)} imports the plugin {top}: the core knows none")
        if top != "dicomgate" or not rest or rest[0] == own:
            continue
        other = rest[0]
        if other in FLOORS and (FLOORS[other] > FLOORS[own] or {own, other} <= WINGS):
            found.append(f"{'.'.join(module)} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})")
    return sorted(set(found))


DOORS = ("dicomgate.kit", "dicomgate.run.embedding")


def plugin_breaches(source: str, in_tests: bool, own: str, in_commands: bool = False) -> list[str]:
    """A plugin imports the two doors and `embedding`; in its tests the kit for tests, in its commands theirs."""
    doors = [*DOORS, *(["dicomgate.testing"] if in_tests else ["dicomgate.cli.plugin_commands"] if in_commands else [])]
    inside = {
        name
        for name in imports(source, (own,))
        if name.startswith("dicomgate.") and name.split(".")[1] in FLOORS
    }  # fmt: skip
    deeper = {name for name in inside if not any(f"{name}.".startswith(f"{door}.") for door in doors)}
    # `from dicomgate.cli.plugin_commands import x` names `dicomgate.cli` too: a package on the way to a door.
    return sorted(name for name in deeper if not any(door.startswith(f"{name}.") for door in doors))


MODULES = sorted(path for path in HOUSE.rglob("*.py") if path != HOUSE / "__init__.py")
PLUGIN_FILES = sorted(path for path in (ROOT / "plugins").rglob("*.py") if ".venv" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    module = path.relative_to(HOUSE).with_suffix("").parts
    assert module[0] in FLOORS, f"{module[0]} has no floor yet: give it one in {Path(__file__).name}"
    assert breaches(path.read_text("utf-8"), module) == []


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_the_front_door_alone(path: Path) -> None:
    in_tests, in_commands = "tests" in path.parts, path.name == "commands.py"
    assert plugin_breaches(path.read_text("utf-8"), in_tests, path.parent.name, in_commands) == []


def arrows() -> set[tuple[str, str]]:
    """Which folder, or module at the top, imports from which other one."""
    found = set()
    for path in MODULES:
        module = path.relative_to(HOUSE).with_suffix("").parts
        for name in imports(path.read_text("utf-8"), ("dicomgate", *module[:-1])):
            top, *rest = name.split(".")
            if top == "dicomgate" and rest and rest[0] in FLOORS and rest[0] != module[0]:
                found.add((module[0], rest[0]))
    return found


def circle(edges: set[tuple[str, str]]) -> list[str]:
    """Folders that import each other in a circle; empty if there are none."""
    after = {folder: {to for start, to in edges if start == folder} for edge in edges for folder in edge}
    while ends := {folder for folder, targets in after.items() if not targets}:
        after = {folder: targets - ends for folder, targets in after.items() if folder not in ends}
    return sorted(after)


def test_no_folders_import_each_other_in_a_circle() -> None:
    assert circle(arrows()) == []
    assert circle(arrows() | {("wire", "net")}) != []
    assert circle({("cli", "demo"), ("demo", "testing"), ("testing", "cli"), ("cli", "kit")}) == [
        "cli",
        "demo",
        "testing",
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (("wire", "items"), "from ..auth.chain import Chain"),
        (("wire", "items"), "import logging"),
        (("wire", "items"), "import asyncio"),
        (("auth", "chain"), "from ..wire import pdu"),
        (("events", "audit"), "def late():\n    from dicomgate.association.handshake import Handshake"),
        (("contract",), "from .errors import ConfigError\nfrom .wire.items import walk"),
        (("association", "handshake"), "from ..net.connection import Connection"),
        (("association", "handshake"), "import asyncio"),
        (("net", "relay"), "import ssl"),
        (("state", "sqlite"), "from ..auth import throttle"),
        (("auth", "chain"), "from ..state import open_state"),
        (("state", "sqlite"), "import redis"),
        (("protection", "throttle"), "import sqlite3"),
        (("net", "relay"), "from ..run import server"),
        (("run", "server"), "import dicomgate_passcode"),
        (("admin", "status"), "import prometheus_client"),
        (("admin", "operator"), "from starlette.requests import Request"),
    ],
)
def test_a_broken_floor_is_seen(module: tuple[str, ...], source: str) -> None:
    assert breaches(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (("wire", "items"), "from ..errors import DoesNotFit\nfrom .reject_abort import Abort"),
        (("auth", "link"), "import asyncio, logging\nfrom ..contract import Accept"),
        (("association", "handshake"), "from ..auth.chain import Verdict\nfrom ..wire import pdu"),
        (("net", "tls"), "import ssl"),
        (("state", "redis"), "import asyncio\nfrom redis.asyncio import Redis\nfrom .protocol import Backoff"),
        (("protection", "throttle"), "from ..state.protocol import Backoff"),
    ],
)
def test_a_lawful_import_passes(module: tuple[str, ...], source: str) -> None:
    assert breaches(source, module) == []


def test_a_plugin_that_goes_deeper_is_seen() -> None:
    assert plugin_breaches("from dicomgate.auth.chain import Chain", in_tests=False, own="dicomgate_x")
    assert plugin_breaches("from dicomgate.testing import attempt", in_tests=False, own="dicomgate_x")
    embedded = "from dicomgate.run.embedding import LoginService"
    assert plugin_breaches(embedded, in_tests=False, own="dicomgate_x") == []
    for_commands = "from dicomgate.cli.plugin_commands import print_table"
    assert plugin_breaches(for_commands, in_tests=False, own="dicomgate_x")
    assert plugin_breaches(for_commands, in_tests=False, own="dicomgate_x", in_commands=True) == []
    deeper = "from dicomgate.cli.output import print_table"
    assert plugin_breaches(deeper, in_tests=False, own="dicomgate_x", in_commands=True)
    assert plugin_breaches("from dicomgate.testing import attempt", in_tests=True, own="tests") == []
    assert plugin_breaches("from dicomgate import Accept", in_tests=False, own="dicomgate_x") == []
