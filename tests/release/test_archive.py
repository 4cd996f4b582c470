"""Archives and wheels: the same files give the same bytes, whoever makes them, whenever."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from release import archive, wheels
from release.tree import epoch


def folder_of(parent: Path, names: list[str], umask: int) -> Path:
    folder = parent / "thing"
    before = os.umask(umask)
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
            os.utime(folder / name, (len(names), len(str(parent))))
        (folder / "run.sh").chmod(0o755 & ~umask)
    finally:
        os.umask(before)
    return folder


def test_an_archive_of_the_same_files_has_the_same_bytes(tmp_path: Path) -> None:
    names = ["a", "b/c", "run.sh"]
    archive.pack(folder_of(tmp_path / "one", names, 0o022), tmp_path / "one.tar.gz")
    archive.pack(folder_of(tmp_path / "another", names[::-1], 0o077), tmp_path / "another.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "another.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as opened:
        found = {member.name: (member.uname, member.mode, member.mtime) for member in opened}
    when = epoch()
    assert found["thing/run.sh"] == ("root", 0o755, when)
    assert found["thing/b/c"] == ("root", 0o644, when)
    assert list(found) == ["thing", "thing/a", "thing/b", "thing/b/c", "thing/run.sh"]
    archive.pack(folder_of(tmp_path / "third", [*names, "d"], 0o022), tmp_path / "third.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() != (tmp_path / "third.tar.gz").read_bytes()


def test_our_wheels_and_sources_have_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for name, umask in {"one": 0o022, "another": 0o077}.items():
        before = os.umask(umask)
        try:
            wheels.build(tmp_path / name, {"dicomgate-network"}, "wheel", "sdist")
        finally:
            os.umask(before)
        made[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert made["one"] == made["another"]
    assert sorted(Path(name).suffix for name in made["one"]) == [".gz", ".whl"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    wheels.build(tmp_path / "older", {"dicomgate-network"}, "wheel")
    assert all(path.read_bytes() != made["one"][path.name] for path in (tmp_path / "older").iterdir())
