"""A machine in a chroot: Debian's base, no network, no systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

SUITE = "bookworm"
# What Debian's installer puts on every server, the standard task: its reportbug and apt-listchanges bring Python, but
# neither pip nor the part of venv that makes one.
PACKAGES = ("python3", "adduser", "logrotate")
_ENVIRONMENT = ["HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
_STUB = Path(__file__).with_name("systemctl.py")
_START = """
ip link set lo up
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=0755 run "$1/run"
mount -t tmpfs -o mode=0755 dev "$1/dev"
mkdir "$1/dev/shm"
ln -s /proc/self/fd "$1/dev/fd"
while read -r name minor; do mknod -m 0666 "$1/dev/$name" c 1 "$minor"; done <<END
null 3
zero 5
full 7
random 8
urandom 9
END
echo started
exec sleep infinity
"""


def base(folder: Path, name: str = "base", packages: Sequence[str] = PACKAGES) -> Path:
    """An archive with Debian's smallest base and these packages, made once. This alone asks the network."""
    made = folder / f"{name}.tar"
    if not made.exists():
        begun = folder / f"{name}.begun.tar"
        included = f"--include={','.join(packages)}"
        command: list[str | Path] = ["mmdebstrap", "--mode=root", "--variant=minbase", included, SUITE, begun]
        subprocess.run(command, env=os.environ | {"TMPDIR": str(folder)}, check=True)
        begun.rename(made)
    return made


class Machine:
    """A chroot unpacked from an archive, and its namespaces, which end with the block and take all processes along."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.root = folder
        self._archive = archive

    def __enter__(self) -> Machine:
        if self.root.exists():
            shutil.rmtree(self.root)  # of a run that was killed: its mounts went with its namespaces
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-xf", self._archive, "-C", self.root], check=True)
        namespaces = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        self._holder = subprocess.Popen([*namespaces, "sh", "-euc", _START, "sh", self.root], stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"started\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.communicate()
        shutil.rmtree(self.root)

    @property
    def in_network(self) -> list[str]:
        """What to begin a command with that runs outside of the chroot, but in the machine's network."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]

    @property
    def in_namespaces(self) -> list[str]:
        """What to begin a command with that runs outside of the chroot, but in all of the machine's namespaces."""
        of = f"/proc/{self._holder.pid}/ns"
        enter = ["nsenter", f"--mount={of}/mnt", f"--net={of}/net", f"--pid={of}/pid_for_children"]
        return [*enter, f"--ipc={of}/ipc", f"--uts={of}/uts"]

    def run(self, script: str, *, status: int = 0, timeout: float = 300) -> str:
        """Run a script as root in the machine, and return what it printed; its exit status must be `status`."""
        inside = [*self.in_namespaces, "chroot", str(self.root), "env", "-i", *_ENVIRONMENT]
        ran = subprocess.run([*inside, "sh", "-euc", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)  # fmt: skip
        assert ran.returncode == status, f"{script}: {ran.returncode}\n{ran.stdout}"
        return ran.stdout

    def copy_in(self, path: Path, into: str = "media") -> str:
        """Copy a file or folder to the machine, as from a USB stick, and return its path there."""
        target = self.root / into / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, target)
        return f"/{into}/{path.name}"

    def give_systemctl(self) -> None:
        """Put something in systemctl's place that does what the installed unit says, and is no systemd."""
        shutil.copy(_STUB, self.root / "usr" / "bin" / "systemctl")
        self.run("chmod 0755 /usr/bin/systemctl; mkdir -p /run/systemd/system")

    def files(self) -> dict[str, bytes | str]:
        """Every file and link of the machine, and what is in it, but for what programs of Debian keep of themselves.

        Of these is an empty /opt, which dpkg takes along with the last package there.
        """
        found: dict[str, bytes | str] = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if name.startswith(_OF_DEBIAN) or name.endswith("-") or name == "opt":
                continue
            if path.is_symlink():
                found[name] = str(path.readlink())
            else:
                found[name] = path.read_bytes() if path.is_file() else f"a folder {path.stat().st_mode:o}"
        return found


_OF_DEBIAN = ("dev/", "proc", "run", "tmp", "media", "etc/.pwd.lock", "var/cache/", "var/lib/dpkg/",
              "var/lib/logrotate/", "var/log/dpkg", "var/log/journal", "var/log/systemctl")  # fmt: skip
