"""Debian's own critic of packages finds nothing that the overrides do not give a reason for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release.chroot.machine import Machine, base

pytestmark = pytest.mark.timeout(900)
_ACCEPTED = {
    "copyright-without-copyright-notice",  # the licences of the packages in it are beside them
    "initial-upload-closes-no-bugs",  # it is not for Debian's archive
}


def test_lintian_finds_nothing_without_a_reason(release: Path, chroots: Path) -> None:
    with Machine(base(chroots, "lintian", ("lintian",)), chroots / "critic") as machine:
        (package,) = release.glob("*.deb")
        told = machine.run(f"lintian --allow-root --no-tag-display-limit {machine.copy_in(package)} || true")
    found = [line for line in told.splitlines() if line.startswith(("E:", "W:"))]
    assert [line for line in found if line.split()[2] not in _ACCEPTED] == []
    assert found, told  # it has looked
