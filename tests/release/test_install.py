"""install.sh: it installs, moves to a newer version and goes back, and leaves nothing half done.

The bundles here have the real installer and a gateway of ten lines. `systemctl` is a script that says what systemd
would.
"""

from __future__ import annotations

import ensurepip
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from dicomgate.testing.pages import ROOT
from release import bundle, sums
from release.tree import PYTHON

GATEWAY = """\
import pathlib, sys
def main():
    if "--version" in sys.argv:
        print("dicomgate {version}")
    elif "{version}" not in pathlib.Path(sys.argv[3]).read_text():
        print("dicomgate.toml:1: a key that {version} does not know", file=sys.stderr)
        sys.exit(2)
"""
SYSTEMCTL = """\
#!/bin/sh
echo "$1 $(readlink "$ROOT/opt/dicomgate/current")" >>"$ROOT/asked"
case "$1" in
    daemon-reload) [ ! -e "$ROOT/deaf" ] ;;
    is-active) [ "$2" = --quiet ] || cat "$ROOT/state"; grep -q '^active' "$ROOT/state" ;;
    restart) [ "$(readlink "$ROOT/opt/dicomgate/current")" != 3.0 ] || echo activating >"$ROOT/state"
             [ "$(readlink "$ROOT/opt/dicomgate/current")" = 3.0 ] || echo active >"$ROOT/state" ;;
esac
"""


def stub(folder: Path, version: str) -> Path:
    """An unpacked bundle, whose gateway takes a configuration that names its version."""
    made = folder / f"bundle-{version}"
    wheels = made / "wheels"
    wheels.mkdir(parents=True)
    info = f"dicomgate-{version}.dist-info"
    files = {
        "dicomgate.py": GATEWAY.format(version=version),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: dicomgate\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ndicomgate = dicomgate:main\n",
    }
    with zipfile.ZipFile(wheels / f"dicomgate-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    bundle.write_requirements(wheels, made / "requirements.txt")  # without pip: it takes most of the time
    for pip in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"):
        shutil.copy(pip, wheels)
    (made / "PYTHON").write_text(f"{PYTHON}\n")
    shutil.copytree(ROOT / "deploy" / "systemd", made / "deploy" / "systemd")
    (made / "deploy" / "systemd" / "dicomgate.service").write_text(f"# of {version}\n")
    shutil.copy(ROOT / "deploy" / "bundle" / "install.sh", made)
    sums.write(made)
    return made


class Machine:
    """A folder that is the root of a machine with a service that runs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.opt = folder / "opt" / "dicomgate"
        (folder / "run" / "systemd" / "system").mkdir(parents=True)
        (folder / "bin").mkdir()
        for name, text in {"systemctl": SYSTEMCTL, "sleep": "#!/bin/sh\n"}.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.state("active")
        (folder / "pip.conf").write_text(f"[install]\ntarget = {folder}/elsewhere\n")
        (folder / "dicomgate.py").write_text("raise SystemExit(9)\n")

    def state(self, word: str) -> None:
        (self.root / "state").write_text(f"{word}\n")

    def configure(self, text: str) -> None:
        (self.root / "etc" / "dicomgate" / "dicomgate.toml").write_text(text)

    def install(self, where: Path, *arguments: object, status: int = 0) -> str:
        """What the installer says."""
        below = () if "--only-into" in arguments else ("--root", self.root)
        command = [str(one) for one in (f"{where.name}/install.sh", *arguments, *below)]
        root = str(self.root)
        hostile = {"CDPATH": str(where.parent), "PYTHONPATH": root, "PIP_CONFIG_FILE": f"{root}/pip.conf"}
        surroundings = {"PATH": f"{root}/bin:{os.environ['PATH']}", "ROOT": root, **hostile}
        done = subprocess.run(command, env=surroundings, cwd=where.parent, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done
        return done.stdout + done.stderr

    def used(self) -> tuple[str, str, str]:
        """Which version is in use, which was before, and whose unit is there."""
        before = self.opt / "previous"
        unit = (self.root / "etc" / "systemd" / "system" / "dicomgate.service").read_text()
        return str((self.opt / "current").readlink()), str(before.readlink()) if before.is_symlink() else "", unit[5:-1]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def test_an_upgrade_goes_back_by_itself_and_by_hand(machine: Machine, tmp_path: Path) -> None:
    one, two, three = (stub(tmp_path, version) for version in ("1.0", "2.0", "3.0"))
    assert "nothing is installed here to upgrade" in machine.install(two, "--upgrade", status=2)
    half = machine.opt / "1.0" / "bin" / "dicomgate"
    half.parent.mkdir(parents=True)
    half.write_text("#!/no/such/python\n")
    (one / "wheels" / "pip-99.0-py3-none-any.whl").write_text("a file that nobody verifies, and nobody may run")
    told = machine.install(one)
    assert told.startswith("dicomgate 1.0\nInstalled. Next, as root:")
    assert told.endswith("opt/dicomgate/1.0: half an installation\n")
    assert "there is no version to go back to" in machine.install(machine.opt, "--rollback", status=3)
    assert "dicomgate 1.0 is installed here" in machine.install(two, status=2)

    machine.configure("1.0")
    told = machine.install(two, "--upgrade", status=2)
    assert "dicomgate.toml:1: a key that 2.0 does not know" in told
    assert "1.0 stays in use" in told
    assert machine.used() == ("1.0", "", "1.0")
    assert "restart" not in (machine.root / "asked").read_text()

    machine.configure("1.0 2.0 3.0")
    assert "dicomgate 2.0 is in use in place of 1.0, and is ready" in machine.install(two, "--upgrade")
    assert machine.used() == ("2.0", "1.0", "2.0")
    assert "is in use already" in machine.install(two, "--upgrade", status=2)
    assert "1.0 is older than 2.0" in machine.install(one, "--upgrade", status=2)

    told = machine.install(three, "--upgrade", status=1)
    assert "3.0 does not get ready" in told
    assert told.endswith("2.0 is in use again, and is ready\n")
    assert machine.used() == ("2.0", "1.0", "2.0")

    machine.install(machine.opt, "--rollback")
    assert machine.used() == ("1.0", "2.0", "1.0")
    machine.install(machine.opt, "--rollback")
    assert machine.used() == ("2.0", "1.0", "2.0")

    machine.state("inactive")
    assert "the service does not run" in machine.install(machine.opt, "--rollback")
    asked = (machine.root / "asked").read_text().splitlines()
    assert [line for line in asked if line.startswith("restart")] == [
        f"restart {version}" for version in ("2.0", "3.0", "2.0", "1.0", "2.0")
    ]
    (one / "requirements.txt").write_text("dicomgate==1.0 --hash=sha256:00\n")
    sums.write(one)
    assert "with other packages than this bundle" in machine.install(one, status=3)
    (two / "requirements.txt").write_text("dicomgate==../../etc --hash=sha256:00\n")
    sums.write(two)
    assert "does not say which version" in machine.install(two, "--upgrade", status=3)
    (machine.root / "deaf").touch()
    assert "2.0 could not be put in place (see above): 1.0" in machine.install(machine.opt, "--rollback", status=3)
    assert machine.used() == ("1.0", "2.0", "1.0")
    shutil.rmtree(machine.opt / "2.0")
    assert "the version before, was removed" in machine.install(machine.opt, "--rollback", status=3)


def flipped(folder: Path) -> None:
    (wheel,) = (folder / "wheels").glob("dicomgate-*.whl")
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(data)


def without_python(folder: Path) -> None:
    (folder / "PYTHON").write_text("3.99\n")
    sums.write(folder)


def of_another_machine(folder: Path) -> None:
    (wheel,) = (folder / "wheels").glob("dicomgate-*.whl")
    wheel.rename(wheel.with_name("dicomgate-1.0-cp27-none-win32.whl"))
    sums.write(folder)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (flipped, "wheels/dicomgate-1.0-py3-none-any.whl: FAILED"),
        (lambda folder: (folder / "requirements.txt").unlink(), "requirements.txt: FAILED open or read"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "is not an unpacked bundle"),
        (without_python, "this bundle is for Python 3.99, which is not installed"),
        (of_another_machine, "the packages could not be installed"),
    ],
)
def test_what_cannot_be_installed_leaves_nothing(machine: Machine, tmp_path: Path, break_it, message: str) -> None:  # type: ignore[no-untyped-def]
    one = stub(tmp_path, "1.0")
    break_it(one)
    assert message in machine.install(one, status=3)
    (lock,) = machine.opt.iterdir()
    assert lock.stat().st_mode & 0o777 == 0o600, "another user could hold it, and no upgrade would begin"


def test_a_damaged_one_is_not_tried_out_either(machine: Machine, tmp_path: Path) -> None:
    one = stub(tmp_path, "1.0")
    flipped(one)
    assert "fetch the archive again" in machine.install(one, "--only-into", tmp_path / "venv", status=3)
    assert not (tmp_path / "venv").exists()


def test_the_debian_package_is_left_to_apt(machine: Machine, tmp_path: Path) -> None:
    owned = machine.root / "var" / "lib" / "dpkg" / "info" / "dicomgate.list"
    owned.parent.mkdir(parents=True)
    owned.touch()
    assert "use apt" in machine.install(stub(tmp_path, "1.0"), status=3)


def key_of(folder: Path, name: str) -> Path:
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    key.with_suffix(".signers").write_text(f'{name}@vendor.example namespaces="dicomgate" {public}')
    return key


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed (Debian: openssh-client)")
def test_a_signature_is_verified(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = key_of(tmp_path, "ours"), key_of(tmp_path, "other")
    signers = ours.with_suffix(".signers")
    one = stub(tmp_path, "1.0")
    without_python(one)
    assert "has no signature" in machine.install(one, "--signers", signers, status=3)
    monkeypatch.setenv(sums.KEY, str(ours))
    sums.write(one)
    first = (one / "SHA256SUMS.sig").read_bytes()
    sums.write(one)
    assert (one / "SHA256SUMS.sig").read_bytes() == first
    told = machine.install(one, "--signers", other.with_suffix(".signers"), status=3)
    assert "signed by a key that is not in" in told
    told = machine.install(one, "--signers", signers, status=3)
    assert "signed by ours@vendor.example\ninstall.sh: this bundle is for Python 3.99" in told
    flipped(one)
    monkeypatch.delenv(sums.KEY)
    sums.write(one)
    (one / "SHA256SUMS.sig").write_bytes(first)
    told = machine.install(one, "--signers", signers, status=3)
    assert "SHA256SUMS is not what ours@vendor.example signed" in told
