"""Archives whose bytes depend on nothing but the files in them."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from .tree import epoch


def pack(folder: Path, archive: Path) -> None:
    """Write a folder, under its name, as a tar.gz: in order, all of root, of one time, with the modes 0755 or 0644."""

    def normal(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = epoch()
        if not member.issym():
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in (folder, *sorted(folder.rglob("*"))):
            name = str(Path(folder.name) / path.relative_to(folder))
            tar.add(path, name, recursive=False, filter=normal)
