"""The software bill of materials: CycloneDX 1.6, the same bytes for the same wheels.

It has each wheel with its hash, its licence and what it needs, and the libraries that are compiled into it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from . import licences
from .compiled import Library, libraries
from .sums import sha256
from .tree import VERSION, epoch
from .wheels import name_and_version

_licence = LicenseFactory().make_from_string


def _component(wheel: Path) -> Component:
    name, version = name_and_version(wheel)
    purl = PackageURL("pypi", None, name, version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256(wheel))],
        licenses=[_licence(licences.of(wheel).terms)],
        components=[_compiled_in(library, str(purl)) for library in libraries(wheel)],
    )


def _compiled_in(library: Library, parent: str) -> Component:
    return Component(
        name=library.name,
        version=library.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{parent}#{library.name}@{library.version}",
        purl=PackageURL.from_string(library.purl) if library.purl else None,
        licenses=[_licence(library.licence)] if library.licence else (),
    )


def write(wheels: Path, needs: dict[str, set[str]], path: Path) -> None:
    """Write the bill of materials of these wheels; `needs` says which needs which."""
    parts = {component.name: component for component in map(_component, sorted(wheels.glob("*.whl")))}
    told = " ".join(str(hash_.content) for part in parts.values() for hash_ in part.hashes)
    bom = Bom(components=parts.values(), serial_number=uuid5(NAMESPACE_URL, told))
    bom.metadata.timestamp = datetime.fromtimestamp(epoch(), UTC)
    bom.metadata.component = Component(
        name="dicomgate", version=VERSION, type=ComponentType.APPLICATION, bom_ref="dicomgate",
        licenses=[_licence("Apache-2.0")],
    )  # fmt: skip
    bom.register_dependency(bom.metadata.component, [parts[name] for name in parts if name.startswith("dicomgate")])
    for name, part in parts.items():
        bom.register_dependency(part, [parts[other] for other in needs[name]])
    path.write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n", "utf-8")
