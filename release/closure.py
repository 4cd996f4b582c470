"""What dicomgate needs: distributions, and their entries in the lock files.

Rule: for every patch release of this Python, not only for the one that runs here. Debian 12 has 3.11.2, for which redis
needs a package that it does not need from 3.11.3 on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .tree import PYTHON, ROOT

LOCKS = ("requirements.lock", "requirements-ldap.lock", "requirements-kerberos.lock")
WANTED = ("dicomgate[all]", "pip")
"""pip for install.sh, which runs it from its wheel, because Debian's python3 has none; and for plugins of others."""
COMPILED = {"dicomgate-ldap": "ldap", "dicomgate-kerberos": "gssapi"}
"""Plugins, by name, and the module of the library that needs a compiler."""

_PYTHONS: tuple[dict[str, str], ...] = ({}, {"python_full_version": f"{PYTHON}.0"})


def closure(*wanted: str) -> dict[str, set[str]]:
    """The distributions that these requirements need, by canonical name, each with those that it needs itself."""
    found: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()

    def add(requirement: Requirement) -> str:
        name = canonicalize_name(requirement.name)
        needs = found.setdefault(name, set())
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                needs.update(add(one) for one in _requirements(name) if _holds(one.marker, extra))
        return name

    for one in wanted:
        add(Requirement(one))
    return found


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in distribution(name).requires or ()]
    except PackageNotFoundError:
        return []  # an older patch release alone needs it


def _holds(marker: Marker | None, extra: str = "") -> bool:
    return marker is None or any(marker.evaluate({**python, "extra": extra}) for python in _PYTHONS)


def distributions() -> tuple[dict[str, set[str]], list[str]]:
    """What is released, as of `closure`; and the plugins that are left out, because their library is not installed."""
    wanted, left_out = list(WANTED), []
    for plugin, module in COMPILED.items():
        try:
            __import__(module)
            wanted.append(plugin)
        except ImportError:
            left_out.append(plugin)
    return closure(*wanted), left_out


def pinned(names: set[str]) -> Iterator[str]:
    """The entries of the lock files for these distributions, hashes included, without their markers."""
    taken = set()
    for lock in LOCKS:
        for entry in re.findall(r"^[^\s#].*(?:\n[ \t].*)*", (ROOT / lock).read_text("utf-8"), re.MULTILINE):
            text, *hashes = entry.split(" \\\n")
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name in names and name not in taken and _holds(requirement.marker):
                taken.add(name)
                yield " \\\n".join([f"{requirement.name}{requirement.specifier}", *hashes])
    if missing := names - taken:
        raise SystemExit(f"release: no lock file has {', '.join(sorted(missing))}: make lock")
