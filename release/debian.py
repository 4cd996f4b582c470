"""The Debian package: what the bundle installs, below /opt/dicomgate/VERSION, with what Debian expects around it.

It is for the Python that makes it, and for machines whose C library is at least as new as this one's. It needs
`dpkg-deb`, which every Debian and Ubuntu has; of the same files that makes the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from email.utils import formatdate
from pathlib import Path

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from .tree import PYTHON, ROOT, VERSION, epoch

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el", "s390x": "s390x"}
_ARCHITECTURE = _ARCHITECTURES.get(sysconfig.get_platform().split("-")[-1], "any")
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
_EXAMPLES = ("certbot", "fail2ban", "grafana", "haproxy", "prometheus")
# Only the plugins of these names need them: they are recommended, so that a machine without them can have the package.
_LIBRARIES = {"python_ldap": "libldap-2.5-0, libsasl2-2", "gssapi": "libgssapi-krb5-2"}


def can_be_made() -> bool:
    """Whether this machine has what makes Debian packages."""
    return shutil.which("dpkg-deb") is not None


def _name(version: str) -> str:
    return f"dicomgate_{version}-1_{_ARCHITECTURE}.deb"


NAME = _name(VERSION)


def _home(version: str) -> str:
    return f"opt/dicomgate/{version}"


def _install_wheels(wheels: Path, tree: Path, version: str) -> None:
    """What `python -m venv` and `pip install` would make at the place where the package will be."""
    home = tree / _home(version)
    packages = home / "lib" / f"python{PYTHON}" / "site-packages"
    scheme = {
        "purelib": packages,
        "platlib": packages,
        "scripts": home / "bin",
        "data": home,
        "headers": home / "include",
    }
    destination = SchemeDictionaryDestination(
        {kind: str(path) for kind, path in scheme.items()},
        interpreter=f"/{_home(version)}/bin/python",
        script_kind="posix",
    )
    for wheel in sorted(set(wheels.glob("*.whl")) - set(wheels.glob("pip-*.whl"))):  # the bundle's installer needs it
        with WheelFile.open(wheel) as source:
            install(source, destination, additional_metadata={"INSTALLER": b"dicomgate\n"})
    (home / "bin" / "python").symlink_to(f"/usr/bin/python{PYTHON}")
    (home / "bin" / f"python{PYTHON}").symlink_to("python")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n", "ascii")
    (home.parent / "current").symlink_to(version)


def _zipped(text: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(text)


def _add_system_files(tree: Path, version: str, deploy: Path) -> None:
    unit = (deploy / "systemd" / "dicomgate.service").read_text("utf-8").replace("/etc/systemd", "/lib/systemd", 1)
    units, documents = tree / "lib" / "systemd" / "system", tree / "usr" / "share" / "doc" / "dicomgate"
    for folder in (units, documents, tree / "usr" / "bin", tree / "etc" / "logrotate.d"):
        folder.mkdir(parents=True)
    (units / "dicomgate.service").write_text(unit, "utf-8")
    (tree / "usr" / "bin" / "dicomgate").symlink_to("/opt/dicomgate/current/bin/dicomgate")
    own = ROOT / "deploy" / "debian"
    shutil.copy(own / "logrotate", tree / "etc" / "logrotate.d" / "dicomgate")
    shutil.copy(own / "copyright", documents)
    for example in _EXAMPLES:
        if (deploy / example).exists():  # 0.1.0, of which the tests make a package, had fewer
            shutil.copytree(deploy / example, documents / "examples" / example)
    _zipped((ROOT / "CHANGELOG.md").read_bytes(), documents / "changelog.gz")
    entry = f"dicomgate ({version}-1) stable; urgency=medium\n\n  * The changes are in changelog.gz beside this file.\n"
    signed = f"\n -- The dicomgate maintainers <maintainers@dicomgate.invalid>  {formatdate(epoch())}\n"
    _zipped((entry + signed).encode(), documents / "changelog.Debian.gz")
    overrides = tree / "usr" / "share" / "lintian" / "overrides"
    overrides.mkdir(parents=True)
    shutil.copy(own / "lintian-overrides", overrides / "dicomgate")
    with tempfile.TemporaryDirectory() as pages:
        subprocess.run([sys.executable, ROOT / "scripts" / "man_pages.py", pages], check=True)
        for page in sorted(Path(pages).iterdir()):
            _zipped(page.read_bytes(), tree / "usr" / "share" / "man" / "man1" / f"{page.name}.gz")


def _add_control(wheels: Path, tree: Path, version: str, own: Path) -> None:
    control = tree / "DEBIAN"
    control.mkdir()
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    libraries = [package for wheel, package in _LIBRARIES.items() if any(wheels.glob(f"{wheel}-*.whl"))]
    values = {
        "@VERSION@": version,
        "@PYTHON@": PYTHON,
        "@ARCHITECTURE@": _ARCHITECTURE,
        "@SIZE@": str(sum(-(-path.stat().st_size // 1024) for path in files)),
        "@GLIBC@": os.confstr("CS_GNU_LIBC_VERSION").split()[-1],  # type: ignore[union-attr]  # it has glibc: dpkg-deb
        "@LIBRARIES@": ", ".join(libraries),
    }
    for name in ("control", *_SCRIPTS):
        text = (own / name).read_text("utf-8")
        for word, value in values.items():
            text = text.replace(word, value)
        (control / name).write_text("\n".join(line for line in text.split("\n") if line != "Recommends: "), "utf-8")
        (control / name).chmod(0o755 if name in _SCRIPTS else 0o644)
    relative = {path.relative_to(tree): path for path in files}
    (control / "md5sums").write_text("".join(f"{_md5(path)}  {name}\n" for name, path in relative.items()), "utf-8")
    (control / "conffiles").write_text("".join(f"/{name}\n" for name in relative if name.parts[0] == "etc"), "utf-8")


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()  # `dpkg --verify` knows no other


def _set_modes_and_times(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            is_run = path.stat().st_mode & 0o100 and "site-packages" not in path.parts  # what is there is only read
            path.chmod(0o755 if path.is_dir() or is_run else 0o644)
        os.utime(path, (epoch(), epoch()), follow_symlinks=False)


def make(wheels: Path, target: Path, version: str = VERSION, deploy: Path = ROOT / "deploy") -> Path:
    """Make the Debian package of a folder of wheels, and put it into the folder `target`. Returns its path."""
    made = target / _name(version)
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tree"
        _install_wheels(wheels, tree, version)
        _add_system_files(tree, version, deploy)
        _add_control(wheels, tree, version, ROOT / "deploy" / "debian")
        _set_modes_and_times(tree)
        # xz would make it a third smaller, and take a minute of a processor.
        command: list[str | Path] = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, made]
        environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch())}
        subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    return made
