"""The release on machines that have nothing but Debian's base and no network: `make release-test`.

Each machine is a chroot in namespaces of its own: mount, process ids, and a network that has loopback alone. They are
made in the folder that DICOMGATE_CHROOTS names, as root, and nothing outside of that folder is written; no systemd
runs. Without the variable nothing here is collected.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.release.chroot.machine import Machine, base

CHROOTS = os.environ.get("DICOMGATE_CHROOTS", "")
collect_ignore_glob = [] if CHROOTS else ["test_*.py"]


@pytest.fixture(scope="session")
def chroots() -> Path:
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    for program in ("mmdebstrap", "unshare", "nsenter", "ip", "storescu"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt-get install mmdebstrap util-linux iproute2 dcmtk")
    folder = Path(CHROOTS).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def release() -> Path:
    """The folder that `make release` has made."""
    made = sorted(Path("dist").glob("dicomgate-*/SHA256SUMS"))
    if not made:
        pytest.skip("there is no release: make release")
    return made[-1].parent.absolute()


@pytest.fixture(scope="session")
def before(release: Path, chroots: Path) -> Path:
    """The folder of the version before."""
    from tests.release.chroot.before import release_before  # with what makes releases, which no other test needs

    return release_before(release, chroots / "before")


@pytest.fixture
def machine(chroots: Path) -> Iterator[Machine]:
    """A fresh machine with Debian's base and Python."""
    with started(chroots) as one:
        yield one


@contextmanager
def started(chroots: Path) -> Iterator[Machine]:
    """A fresh machine until the block ends."""
    with Machine(base(chroots), chroots / "machine") as one:
        yield one
