"""Libraries that are compiled into wheels, which no package manager knows of: for the bill of materials."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from zipfile import ZipFile

from packaging.utils import canonicalize_name

from .wheels import name_and_version


class Library(NamedTuple):
    """A library within a wheel; its version, licence and package URL, as far as they are known."""

    name: str
    version: str | None = None
    licence: str | None = None
    purl: str | None = None


def libraries(wheel: Path) -> list[Library]:
    """What the wheel says itself, what its module says when it is asked, and the shared libraries that lie in it.

    The first is by https://peps.python.org/pep-0770/; the second asks what is installed here, of the same version.
    """
    own, _ = name_and_version(wheel)
    found = set()
    with ZipFile(wheel) as archive:
        for name in map(PurePosixPath, archive.namelist()):
            if name.parent.name == "sboms" and name.suffix == ".json":
                found |= _listed(json.loads(archive.read(str(name))))
            elif name.parent.suffix == ".libs" and ".so" in name.name:
                found.add(Library(name.name))
    if own in _ASKED:
        found |= {Library(name, version) for name, version in _ASKED[own]().items()}
    return sorted((one for one in found if canonicalize_name(one.name) != own), key=lambda one: (one.name, str(one)))


def _listed(bill: dict[str, Any]) -> set[Library]:
    return {
        Library(part["name"], part.get("version"), _licence(part), part.get("purl"))
        for part in bill.get("components", ())
    }


def _licence(part: dict[str, Any]) -> str | None:
    """An expression, or the first licence by its SPDX id or name: CycloneDX, licenseChoice."""
    for one in part.get("licenses", ()):
        named = one.get("license", {})
        return str(one.get("expression") or named.get("id") or named.get("name"))
    return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _lxml() -> dict[str, str]:
    from lxml import etree

    return {"libxml2": _dotted(etree.LIBXML_COMPILED_VERSION), "libxslt": _dotted(etree.LIBXSLT_COMPILED_VERSION)}


def _xmlsec() -> dict[str, str]:
    import xmlsec

    return {"libxmlsec1": _dotted(xmlsec.get_libxmlsec_version()), "libxml2": _dotted(xmlsec.get_libxml_version())}


def _libpq() -> dict[str, str]:
    from psycopg import pq

    return {"libpq": _dotted(divmod(pq.version(), 10_000))}


_ASKED: dict[str, Callable[[], dict[str, str]]] = {"lxml": _lxml, "xmlsec": _xmlsec, "psycopg-binary": _libpq}
