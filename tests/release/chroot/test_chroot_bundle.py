"""The bundle, from the release folder alone: to a served login; an upgrade and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release.chroot.hospital import CONFIGURATION, add_user, configure, hospital
from tests.release.chroot.machine import PACKAGES, Machine, base

pytestmark = pytest.mark.timeout(900)
ENABLE = "systemctl daemon-reload && systemctl enable --now dicomgate"


def unpacked(machine: Machine, release: Path) -> str:
    """Copy a release to a machine, hold it against its sums as its README says, and unpack the bundle there."""
    folder = machine.copy_in(release)
    machine.run(f"cd {folder} && sha256sum --quiet --check SHA256SUMS && tar -xzf dicomgate-*-cp*.tar.gz -C /srv")
    return machine.run("echo /srv/dicomgate-*-cp*").strip()


def test_the_bundle_alone_makes_a_served_login(release: Path, machine: Machine, tmp_path: Path) -> None:
    machine.give_systemctl()
    machine.run(f"{unpacked(machine, release)}/install.sh")
    with hospital(machine, tmp_path) as site:
        alice = configure(machine)
        machine.run(ENABLE)
        assert site.store("alice", alice)
        assert not site.store("alice", "wrong")


def test_an_upgrade_and_the_way_back_keep_users_and_state(
    release: Path, before: Path, chroots: Path, tmp_path: Path
) -> None:
    # The installer of 0.1.0 needs Python's venv with pip, which is not in the base.
    archive = base(chroots, "with-venv", (*PACKAGES, "python3-venv"))
    with Machine(archive, chroots / "upgraded") as machine, hospital(machine, tmp_path) as site:
        machine.give_systemctl()
        machine.run(f"{machine.copy_in(before / 'dicomgate-0.1.0')}/install.sh")
        users = {"alice": configure(machine), "ct1": add_user(machine, "ct1")}
        machine.run(ENABLE)
        assert site.store("ct1", users["ct1"])
        configuration = machine.run("cd /etc/dicomgate && cat dicomgate.toml users.htpasswd")

        new = unpacked(machine, release)
        for version, step in ((release.name.split("-")[1], "--upgrade"), ("0.1.0", "--rollback")):
            assert not site.store("alice", f"wrong before {step}")
            counted = machine.run(f"dicomgate throttle list --config {CONFIGURATION}")
            assert "alice" in counted
            served = machine.run("cat /run/dicomgate.pid")
            machine.run(f"{new}/install.sh {step}")
            assert machine.run("cat /run/dicomgate.pid") != served  # restarted
            assert version in machine.run("dicomgate --version")
            assert machine.run("cd /etc/dicomgate && cat dicomgate.toml users.htpasswd") == configuration
            assert machine.run(f"dicomgate throttle list --config {CONFIGURATION}") == counted
            assert [site.store(name, passcode) for name, passcode in users.items()] == [True, True]
