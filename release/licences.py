"""On what terms everything in a release may be used: each wheel's licence, with its texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from .compiled import libraries
from .tree import ROOT

_TEXT = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
_CLASSIFIER = "License :: OSI Approved :: "

_README = """\
# Licences

| package | version | licence | texts |
| --- | --- | --- | --- |
{packages}

## What is compiled into them

| in | library | version | licence |
| --- | --- | --- | --- |
{compiled_in}
"""


@dataclass(frozen=True)
class Licence:
    """The terms of one wheel, in the words of its metadata, and the files that it has about them, by name."""

    name: str
    version: str
    terms: str
    texts: dict[str, bytes]


def of(wheel: Path) -> Licence:
    """The licence of a wheel. Raises ValueError if it has no terms, or no text."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata_file,) = (name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        metadata = BytesParser().parsebytes(archive.read(metadata_file))
        info = PurePosixPath(metadata_file).parent
        texts = {
            name.removeprefix(f"{info}/").removeprefix("licenses/").replace("/", "-"): archive.read(name)
            for name in names
            if name.startswith(f"{info}/") and not name.endswith("/") and _TEXT.match(PurePosixPath(name).name)
        }
    if metadata["Name"].startswith("dicomgate-"):
        texts = {"LICENSE": (ROOT / "LICENSE").read_bytes()}  # the plugins have the licence of the whole
    licence = Licence(metadata["Name"], metadata["Version"], _terms(metadata), texts)
    if not (licence.terms and licence.texts):
        raise ValueError(f"{wheel.name} says no licence, or has no text of it")
    return licence


def _terms(metadata: Message) -> str:
    """What the metadata says: an SPDX expression, else a short name, else the classifiers."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    name = metadata["License"] or ""
    if name and len(name) < 80 and "\n" not in name:
        return str(name)
    classifiers = metadata.get_all("Classifier", [])
    return ", ".join(one.removeprefix(_CLASSIFIER) for one in classifiers if one.startswith(_CLASSIFIER))


def write(wheels: Path, folder: Path) -> None:
    """Write the texts of all wheels, in a folder for each, and README.md: a table of them, and of what is in them."""
    folder.mkdir()
    rows, inside = [], []
    for wheel in sorted(wheels.glob("*.whl")):
        licence = of(wheel)
        own = folder / licence.name
        own.mkdir()
        for name, text in licence.texts.items():
            (own / name).write_bytes(text)
        rows.append(_row(licence))
        inside += [
            f"| {licence.name} | {one.name} | {one.version or ''} | {one.licence or 'not stated by the package'} |"
            for one in libraries(wheel)
        ]
    tables = _README.format(packages="\n".join(rows), compiled_in="\n".join(inside))
    (folder / "README.md").write_text(tables, "utf-8")


def _row(licence: Licence) -> str:
    links = ", ".join(f"[{name}]({licence.name}/{name})" for name in sorted(licence.texts))
    return f"| {licence.name} | {licence.version} | {licence.terms} | {links} |"
