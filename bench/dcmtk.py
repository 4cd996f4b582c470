"""storescu and storescp of DCMTK, and what they send: synthetic CT slices, and one great multi-frame object."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from dicomgate.testing.slices import SIDE, ct_images, ct_slice

from .processes import BenchError, free_port, running, wait_until_listening

_LIMIT = 600.0  # seconds for one storescu
NO_DCMTK = "DCMTK is not installed (apt-get install dcmtk)"


def prepare() -> None:
    """Raise BenchError without DCMTK; let the variable that changes its ways come from here alone."""
    os.environ.pop("TCP_NODELAY", None)
    if shutil.which("storescu") is None or shutil.which("storescp") is None:
        raise BenchError(NO_DCMTK)


def _nagle(off: bool) -> dict[str, str]:
    """Stock DCMTK leaves Nagle's algorithm on; this variable turns it off."""
    return {"TCP_NODELAY": "1"} if off else {}


@contextmanager
def storescp(folder: Path, *, no_delay: bool) -> Iterator[int]:
    """A storescp that receives and keeps nothing, so that no disk is measured; gives its port."""
    port = free_port()
    command = ["storescp", "--quiet", "--ignore", str(port)]
    with running(command, folder, f"storescp-{port}", environment=_nagle(no_delay)) as process:
        wait_until_listening(process, port)
        yield port


def store(port: int, file: Path, count: int, *, no_delay: bool) -> float:
    """Send one file `count` times in one association; the seconds from start to end of storescu. Raises BenchError."""
    command = ["storescu", "--quiet", "--required", "--user", "alice", "127.0.0.1", str(port), *[str(file)] * count]
    start = time.perf_counter()
    done = subprocess.run(
        command, env=dict(os.environ) | _nagle(no_delay), capture_output=True, timeout=_LIMIT, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise BenchError(f"storescu ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    return seconds


def make_slice(folder: Path, rows: int = SIDE) -> Path:
    """A CT slice of 512 KiB; with half as many rows, of 128."""
    path = folder / "slice.dcm"
    ct_slice(path, rows=rows)
    return path


def make_great(folder: Path, size: int) -> Path:
    """A multi-frame object whose pixels take about `size` bytes."""
    image = next(iter(ct_images(1)))
    frames = max(1, size // len(image.PixelData))
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    image.NumberOfFrames = frames
    image.PixelData = image.PixelData * frames
    path = folder / "great.dcm"
    image.save_as(path, enforce_file_format=True)
    return path
