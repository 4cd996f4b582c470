"""What dicomgate needs: distributions, and their entries in the lock files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .tree import ROOT

LOCKS = ("requirements.lock", "requirements-ldap.lock", "requirements-kerberos.lock")
WANTED = "dicomgate[all]"
INSTALLER = "pip"
"""install.sh runs it from its wheel, because Debian's python3 has none; authors of plugins need it later."""
COMPILED = {"dicomgate-ldap": "ldap", "dicomgate-kerberos": "gssapi"}
"""Plugins, by name, and the module of the library that needs a compiler."""


class Distribution(NamedTuple):
    """One that is needed: the version that is installed here, and the names of those that it needs itself."""

    version: str
    needs: set[str]


def closure(wanted: str) -> dict[str, Distribution]:
    """The distributions that a requirement needs here, by canonical name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()

    def add(requirement: Requirement) -> str:
        name = canonicalize_name(requirement.name)
        there = distribution(name)
        entry = found.setdefault(name, Distribution(there.version, set()))
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for needed in map(Requirement, there.requires or ()):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    entry.needs.add(add(needed))
        return name

    add(Requirement(wanted))
    return found


def distributions() -> tuple[dict[str, Distribution], list[str]]:
    """What is released, by name; and the plugins that are left out, because their library is not installed here."""
    found, left_out = closure(WANTED) | closure(INSTALLER), []
    for plugin, module in COMPILED.items():
        try:
            __import__(module)
            found |= closure(plugin)
        except (ImportError, PackageNotFoundError):
            left_out.append(plugin)
    return found, left_out


def pinned(names: set[str]) -> Iterator[str]:
    """The entries of the lock files for these distributions, hashes included."""
    taken = set()
    for lock in LOCKS:
        for entry in re.findall(r"^[^\s#].*(?:\n[ \t].*)*", (ROOT / lock).read_text("utf-8"), re.MULTILINE):
            name = canonicalize_name(re.split(r"[=<>!~;\s\[]", entry, maxsplit=1)[0])
            if name in names and name not in taken:
                taken.add(name)
                yield entry
    if missing := names - taken:
        raise SystemExit(f"release: no lock file has {', '.join(sorted(missing))}: make lock")
