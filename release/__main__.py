"""Make what a release has: `python -m release` makes all of it, `bundle` and `wheels` that alone. All in dist/."""

from __future__ import annotations

import shutil
import string
import sys
import tempfile
from pathlib import Path

from . import bundle, debian, documentation, licences, sbom, sums, wheels
from .closure import distributions
from .tree import PYTHON, ROOT, VERSION, commit, is_changed, project_name, projects

DIST = ROOT / "dist"
OWN = {project_name(project) for project in projects()}


def make_wheels() -> None:
    """Wheels and source archives of dicomgate and its plugins."""
    wheels.build(DIST, OWN, "wheel", "sdist")


def make_bundle() -> None:
    """The bundle."""
    found, left_out = distributions()
    with tempfile.TemporaryDirectory() as temporary:
        wheelhouse = Path(temporary) / "wheels"
        wheels.collect(wheelhouse, set(found))
        print(bundle.make(wheelhouse, found, DIST).relative_to(ROOT))
    _complain(left_out)


def make_release() -> None:
    """All of a release, in dist/dicomgate-VERSION. It appears there when it is complete."""
    found, left_out = distributions()
    target = DIST / f"dicomgate-{VERSION}"
    with tempfile.TemporaryDirectory(dir=DIST) as temporary:
        wheelhouse, folder = Path(temporary) / "wheels", Path(temporary) / target.name
        folder.mkdir()
        wheels.collect(wheelhouse, set(found))
        wheels.build(folder / "python", OWN, "wheel", "sdist")
        bundle.make(wheelhouse, found, folder)
        package = debian.make(wheelhouse, folder) if debian.can_be_made() else None
        sbom.write(wheelhouse, found, folder / "sbom.cdx.json")
        licences.write(wheelhouse, folder / "licences")
        documentation.make(folder)
        (folder / "README.md").write_text(_readme(OWN & set(found)), "utf-8")
        sums.write(folder)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
    print(target.relative_to(ROOT))
    _complain(left_out)
    if package is None:
        print("release: no Debian package: dpkg-deb is not installed here", file=sys.stderr)
    if not (target / sums.SIGNATURE).exists():
        print(f"release: not signed: {sums.KEY} names no key", file=sys.stderr)
    if is_changed():
        print("release: made from files that differ from the commit: nobody can make it again", file=sys.stderr)


def _readme(released: set[str]) -> str:
    template = string.Template((ROOT / "release" / "README.md.template").read_text("utf-8"))
    return template.substitute(
        version=VERSION,
        commit=commit() or "that SOURCE_DATE_EPOCH stood for",
        dirty=", with changes that are not committed" if is_changed() else "",
        bundle=bundle.NAME,
        package=debian.NAME,
        documentation=documentation.NAME,
        python=PYTHON,
        plugins=", ".join(sorted(released)),
    )


def _complain(left_out: list[str]) -> None:
    for plugin in left_out:
        print(f"release: {plugin} is not in it: its library is not installed here", file=sys.stderr)


PARTS = {"wheels": make_wheels, "bundle": make_bundle, "release": make_release}

if __name__ == "__main__":
    (part,) = sys.argv[1:] or ["release"]
    if part not in PARTS:
        raise SystemExit(f"usage: python -m release [{'|'.join(PARTS)}]")
    DIST.mkdir(exist_ok=True)
    PARTS[part]()
