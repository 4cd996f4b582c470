"""The image that the Containerfile makes of the bundle: built by buildah, and run as the documentation says.

buildah runs in a chroot without a network; the image's base is Debian's, with Python. Here is no runtime for
containers: the image's files are a chroot, and its configuration says what is run there, and as whom.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.release.chroot.hospital import PACS, Hospital, hospital, passcode
from tests.release.chroot.machine import Machine, base

pytestmark = pytest.mark.timeout(900)
_BUILD = """
export BUILDAH_ISOLATION=chroot
container=$(buildah from scratch)
buildah add -q $container /media/base.tar /
buildah commit -q --rm $container localhost/base
cd /srv/dicomgate-*
buildah build -q --build-arg BASE=localhost/base -f deploy/container/Containerfile -t gate .
cd $(buildah mount $(buildah from gate))
tar -cf /media/image.tar .
"""
_VOLUMES = ("etc/dicomgate", "var/lib/dicomgate", "run/dicomgate", "tmp")


class Container:
    """The files of an image, read-only but for its volumes, without any shell, and what is run there."""

    def __init__(self, machine: Machine, config: dict[str, Any]) -> None:
        self.machine, self.root, self._config = machine, machine.root, config
        user, group = config["User"].split(":")
        for shell in ("sh", "dash", "bash", "rbash"):
            (self.root / "usr" / "bin" / shell).unlink()
        for volume in _VOLUMES:
            folder = self.root / volume
            self._outside(f"mkdir -p {folder}; mount -t tmpfs -o mode=0750,uid={user},gid={group} tmpfs {folder}")
        self._outside(f"mount -o remount,bind,ro {self.root}")

    def _outside(self, script: str) -> str:
        entered = [*self.machine.in_namespaces, "sh", "-euc", script]
        return subprocess.run(entered, stdout=subprocess.PIPE, check=True, text=True).stdout

    def command(self, *arguments: str) -> list[str]:
        """The image's program with these arguments, or with those that the image has."""
        of = self._config
        inside = ["chroot", f"--userspec={of['User']}", "--groups=", str(self.root)]
        inside += ["/usr/bin/env", "-i", "-C", of["WorkingDir"], *of["Env"]]
        return [*self.machine.in_namespaces, *inside, *of["Entrypoint"], *(arguments or of["Cmd"])]

    def run(self, *arguments: str) -> str:
        """Run the image's program, which must succeed, and return what it prints."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, check=True, timeout=60).stdout

    def edit(self, edits: dict[str, str]) -> None:
        """Change lines of the configuration, as an administrator does on the host."""
        file = f"{self.root}/etc/dicomgate/dicomgate.toml"
        for what, instead in edits.items():
            self._outside(f"sed -i 's|{what}|{instead}|' {file}")


@contextmanager
def serving(container: Container, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file, subprocess.Popen(container.command(), stdout=file, stderr=file) as process:
        try:
            yield process
        finally:
            process.kill()


def build(release: Path, chroots: Path) -> tuple[Path, dict[str, Any]]:
    """Build the image. Returns an archive of its files, and its configuration."""
    archive = base(chroots, "builder", ("buildah",))
    with Machine(archive, chroots / "builder") as machine:
        shutil.copy(base(chroots), machine.root / "media" / "base.tar")
        folder = machine.copy_in(release)
        machine.run(f"tar -xzf {folder}/dicomgate-*-cp*.tar.gz -C /srv")
        machine.run(_BUILD, timeout=600)
        told = machine.run("buildah inspect --type image gate")
        image = chroots / "image.tar"
        shutil.move(machine.root / "media" / "image.tar", image)
        return image, json.loads(told)["OCIv1"]["config"]


def test_the_image_serves_as_a_user_of_its_own_without_a_shell(release: Path, chroots: Path, tmp_path: Path) -> None:
    image, config = build(release, chroots)
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    with Machine(image, chroots / "container") as machine, hospital(machine, tmp_path) as site:
        container = Container(machine, config)
        told = subprocess.run(container.command("init", "."), capture_output=True, text=True, check=True).stdout
        container.edit({
            'address = "127.0.0.1:4242"': f'address = "127.0.0.1:{PACS}"',
            '# path = "dicomgate-state.sqlite"': 'path = "/var/lib/dicomgate/state.sqlite"',
            '# path = "control.sock"': 'path = "/run/dicomgate/control.sock"',
        })  # fmt: skip
        with serving(container, tmp_path / "log") as process:
            _is_served(container, site, passcode(told))
            container.run("drain", "--wait")
            assert process.wait(60) == 0
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        assert any(line.get("event") == "Established" for line in lines), lines[-5:]


def _is_served(container: Container, site: Hospital, alice: str) -> None:
    assert site.store("alice", alice)
    assert not site.store("alice", "wrong")
    assert "running" in container.run("status")
    container.run("reload")
    assert site.store("alice", alice)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        container.run("init", "/opt/dicomgate/mine")
    assert "Read-only file system" in failed.value.stderr
