"""The audit's spool on a disk that was damaged: `Spool`, and the files that it reads.

An input is the file `delivered` and the two files of records, with `NEXT` in between.

Promise: it is opened. What is read are records that stand in the files, whole, in ascending
order; what is appended then is read behind them; and a second opening finds the same, and no further damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from dicomgate.audit.segment import encoded
from dicomgate.audit.spool import Spool

from ..engine import Target
from ..scratch import scratch

NEXT = b"\xfe\xed"
_NAMES = ("delivered", f"{1:020d}.spool", f"{4:020d}.spool")
_MOST = 1_000_000  # bytes
_NEW = b"<AuditMessage/>"


def _run(data: bytes) -> None:
    folder = scratch("spool")
    for path in folder.iterdir():
        path.unlink()
    for name, content in zip(_NAMES, data.split(NEXT, 2), strict=False):
        (folder / name).write_bytes(content)
    folder.chmod(0o750)
    with closing(Spool(folder, _MOST)) as spool:
        found = [*_read(spool)]
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers))
        assert not numbers or spool.delivered.number < numbers[0] <= numbers[-1] < spool.next_number
        assert all(message in data for _, message in found)
        added = spool.next_number
        spool.append([(1.0, _NEW)])
        assert [*_read(spool)] == [*found, (added, _NEW)]
    with closing(Spool(folder, _MOST)) as spool:
        assert [*_read(spool)] == [*found, (added, _NEW)]
        assert spool.torn == 0


def _read(spool: Spool) -> Iterator[tuple[int, bytes]]:
    place = spool.delivered
    while batch := spool.read(place, 200):
        place = batch[-1][0]
        yield from ((at.number, message) for at, message in batch)


def _seeds() -> list[bytes]:
    records = [encoded(number, 1.7e9 + number, b"<AuditMessage n='%d'/>" % number) for number in range(1, 8)]
    one, other = b"".join(records[:3]), b"".join(records[3:])
    files = [(b"0\n", one, other), (b"2\n", one, other), (b"7\n", one, other), (b"", one, b""), (b"5", b"", other)]
    files += [(b"0\n", one[:70] + one[80:], other[3:]), (b"0\n", one, other + bytes(64)), (b"1\n", other, one)]
    return [NEXT.join(parts) for parts in files]


TARGET = Target(
    "audit_spool",
    ("dicomgate.audit.segment", "dicomgate.audit.spool"),
    _run,
    (),
    _seeds,
    (NEXT, encoded(4, 1.0, b"<four/>"), encoded(9, 1.0, b"<nine/>"), bytes(24), b"-1", b"9" * 30),
)
