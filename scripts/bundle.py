"""One archive to install dicomgate from, on a machine without a package index: `make bundle`.

It has wheels of dicomgate, its plugins and everything that they need, for this Python and this platform, with their
hashes; an SBOM (CycloneDX 1.6, JSON); the unit and the fail2ban filter; and install.sh, which needs nothing else.
Plugins whose libraries need a compiler are in it if they are installed here.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-ldap.lock", "requirements-kerberos.lock")
WANTED = "dicomgate[all]"
COMPILED = {"dicomgate-ldap": "ldap", "dicomgate-kerberos": "gssapi"}
"""Plugins, by name, and the module of the library that needs a compiler."""
OWN_FILES = ("deploy", "LICENSE", "README.md", "CHANGELOG.md")


def closure(wanted: str) -> dict[str, str]:
    """The distributions that a requirement needs here, by canonical name, and the version that is installed of each."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()

    def add(requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        there = distribution(name)
        found[name] = there.version
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for needed in map(Requirement, there.requires or ()):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    add(needed)

    add(Requirement(wanted))
    return found


def distributions() -> tuple[dict[str, str], list[str]]:
    """What goes into the bundle, name and version; and the plugins that are left out, because a library is missing."""
    found, left_out = closure(WANTED), []
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
        raise SystemExit(f"bundle: no lock file has {', '.join(sorted(missing))}: make lock")


def make_wheels(folder: Path, names: set[str]) -> None:
    """Build our own wheels, and fetch or build those of the lock files."""
    hatchling = Path(sys.executable).with_name("hatchling")
    for project in (ROOT, *sorted((ROOT / "plugins").iterdir())):
        if (project / "pyproject.toml").exists() and _own_name(project) in names:
            subprocess.run(
                [hatchling, "build", "-t", "wheel", "-d", folder], cwd=project, check=True, stdout=sys.stderr
            )
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write("\n".join(pinned({name for name in names if not name.startswith("dicomgate")})) + "\n")
        lock.flush()
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "-r", lock.name, "-w", folder], check=True)


def _own_name(project: Path) -> str:
    return "dicomgate" if project == ROOT else f"dicomgate-{project.name}"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def components(wheels: Path) -> list[dict[str, Any]]:
    """The components of the SBOM, one for each wheel: https://cyclonedx.org/docs/1.6/json/#components."""
    made = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        name = canonicalize_name(name)
        metadata = distribution(name).metadata
        component = {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "hashes": [{"alg": "SHA-256", "content": sha256(wheel)}],
        }
        license_name = next((metadata[key] for key in ("License-Expression", "License") if key in metadata), "")
        if license_name and len(license_name) < 80:
            component["licenses"] = [{"license": {"name": license_name}}]
        made.append(component)
    return made


def write_sbom(wheels: Path, path: Path, version: str) -> None:
    """Write the software bill of materials. It has no time in it: the same wheels make the same file."""
    application = {"type": "application", "bom-ref": "dicomgate", "name": "dicomgate", "version": version}
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": application},
        "components": components(wheels),
    }
    path.write_text(json.dumps(bom, indent=1) + "\n", "utf-8")


def write_requirements(wheels: Path, path: Path) -> None:
    """Every wheel with its hash, for `pip install --no-index --require-hashes`."""
    lines = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        lines.append(f"{canonicalize_name(name)}=={version} --hash=sha256:{sha256(wheel)}\n")
    path.write_text("".join(lines), "utf-8")


def write_sums(folder: Path) -> None:
    """The hash of every file, for `sha256sum --check`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files)
    (folder / "SHA256SUMS").write_text(sums, "utf-8")


def main() -> None:
    """Make dist/dicomgate-VERSION-PLATFORM.tar.gz, and print its path."""
    found, left_out = distributions()
    version = found["dicomgate"]
    platform = re.sub(r"\W", "_", sysconfig.get_platform())
    name = f"dicomgate-{version}-cp{sys.version_info[0]}{sys.version_info[1]}-{platform}"
    target = ROOT / "dist" / f"{name}.tar.gz"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        make_wheels(wheels, set(found))
        write_requirements(wheels, folder / "requirements.txt")
        write_sbom(wheels, folder / "sbom.cdx.json", version)
        subprocess.run([sys.executable, ROOT / "scripts" / "man_pages.py", folder / "man"], check=True)
        for own in OWN_FILES:
            copy = shutil.copytree if (ROOT / own).is_dir() else shutil.copy2
            copy(ROOT / own, folder / own)
        (folder / "PYTHON").write_text(f"{sys.version_info[0]}.{sys.version_info[1]}\n", "ascii")
        shutil.move(folder / "deploy" / "bundle" / "install.sh", folder / "install.sh")
        write_sums(folder)
        with tarfile.open(target, "w:gz") as archive:
            archive.add(folder, name)
    for plugin in left_out:
        print(f"bundle: {plugin} is not in it: its library is not installed here", file=sys.stderr)
    print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
