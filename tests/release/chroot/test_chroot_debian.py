"""The Debian package, from the release folder alone: installed, upgraded, taken back, removed and purged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release.chroot.hospital import CONFIGURATION, add_user, configure, hospital
from tests.release.chroot.machine import Machine

pytestmark = pytest.mark.timeout(900)
ROTATION = Path("etc/logrotate.d/dicomgate")


def package(machine: Machine, release: Path) -> str:
    (found,) = release.glob("*.deb")
    return machine.copy_in(found)


def test_the_package_alone_makes_a_served_login_and_a_purge_leaves_nothing(
    release: Path, machine: Machine, tmp_path: Path
) -> None:
    machine.give_systemctl()
    before = machine.files()
    deb = package(machine, release)
    assert "dicomgate init" in machine.run(f"dpkg -i {deb}")
    with hospital(machine, tmp_path) as site:
        alice = configure(machine)
        machine.run("systemctl enable --now dicomgate")
        assert site.store("alice", alice)
        assert not site.store("alice", "wrong")

        machine.run("logrotate --force /etc/logrotate.d/dicomgate")
        assert site.store("alice", alice)
        written = machine.run("cd /var/log/dicomgate && grep -c '' audit.jsonl audit.jsonl.1").split()
        assert all(int(line.split(":")[1]) > 0 for line in written), written

        machine.run("dpkg --remove dicomgate")
        assert machine.run("systemctl is-active dicomgate", status=3) == "inactive\n"
        machine.run(f"dpkg -i {deb} && systemctl start dicomgate")
        assert site.store("alice", alice)
    machine.run("dpkg --purge dicomgate")
    after = machine.files()
    assert {name: after.get(name) for name in before | after if before.get(name) != after.get(name)} == {}


def test_an_upgrade_and_the_way_back_keep_users_state_and_edited_conffiles(
    release: Path, before: Path, machine: Machine, tmp_path: Path
) -> None:
    machine.give_systemctl()
    machine.run(f"dpkg -i {package(machine, before)}")
    with hospital(machine, tmp_path) as site:
        users = {"alice": configure(machine), "ct1": add_user(machine, "ct1")}
        machine.run("systemctl enable --now dicomgate")
        assert site.store("ct1", users["ct1"])
        edited = (machine.root / ROTATION).read_text().replace("rotate 90", "rotate 3650")
        (machine.root / ROTATION).write_text(edited)
        configuration = machine.run("cd /etc/dicomgate && cat dicomgate.toml users.htpasswd && ls -l")

        for folder in (release, before):
            assert not site.store("alice", f"wrong before {folder.name}")
            counted = machine.run(f"dicomgate throttle list --config {CONFIGURATION}")
            assert "alice" in counted
            served = machine.run("cat /run/dicomgate.pid")
            deb = package(machine, folder)
            machine.run(f"dpkg -i {deb}")
            assert machine.run("cat /run/dicomgate.pid") != served  # restarted
            assert machine.run("dicomgate --version").split()[-1] in deb
            assert machine.run("cd /etc/dicomgate && cat dicomgate.toml users.htpasswd && ls -l") == configuration
            assert machine.run(f"dicomgate throttle list --config {CONFIGURATION}") == counted
            assert (machine.root / ROTATION).read_text() == edited
            assert [site.store(name, passcode) for name, passcode in users.items()] == [True, True]
        assert machine.run("ls /opt/dicomgate").split() == ["0.1.0", "current"]


def test_a_version_that_cannot_use_the_configuration_does_not_end_the_one_that_serves(
    release: Path, before: Path, machine: Machine, tmp_path: Path
) -> None:
    machine.give_systemctl()
    machine.run(f"dpkg -i {package(machine, before)}")
    with hospital(machine, tmp_path) as site:
        alice = configure(machine)
        machine.run("systemctl enable --now dicomgate")
        assert site.store("alice", alice)
        file = machine.root / CONFIGURATION.lstrip("/")
        right = file.read_text()
        file.write_text(f"nonsense = 1\n{right}")
        told = machine.run(f"dpkg -i {package(machine, release)}", status=1)
        assert "nonsense" in told
        assert "this version cannot use" in told
        assert site.store("alice", alice)
        file.write_text(right)
        served = machine.run("cat /run/dicomgate.pid")
        machine.run("dpkg --configure dicomgate")
        assert machine.run("cat /run/dicomgate.pid") != served
        assert site.store("alice", alice)


def test_it_does_not_install_over_a_bundle(release: Path, machine: Machine) -> None:
    machine.run("mkdir -p /opt/dicomgate/0.1.0 && ln -s 0.1.0 /opt/dicomgate/current")
    assert "rm -r /opt/dicomgate" in machine.run(f"dpkg -i {package(machine, release)}", status=1)
    assert machine.run("ls /opt/dicomgate").split() == ["0.1.0", "current"]
