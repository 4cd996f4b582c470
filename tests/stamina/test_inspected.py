"""What a client may do arrives as it was sent, although the gateway reads every command: a study, and one large object.

The modality may only store, the viewer may only get: neither has all rights, so both take the path that is inspected.
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomgate.testing.peers.dcmtk import run_dcmqrscp, run_scu
from dicomgate.testing.slices import ct_series, ct_slice
from tests.stamina.measure import cpu, report, scaled
from tests.stamina.process import GatewayProcess, tables_for

SLICES = scaled(2000, 200)
MIB = scaled(1023, 64)  # dcmqrscp takes less than 1 GiB
RULES = [
    {"name": "modality", "calling_ae_titles": ["CT1"], "allow": ["store"]},
    {"name": "viewer", "calling_ae_titles": ["VIEWER"], "allow": ["get"]},
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[tuple[GatewayProcess, Path]]:
    """The gateway, and where its PACS keeps its images."""
    devices = {title: {"networks": ["127.0.0.0/8"]} for title in ("CT1", "VIEWER")}
    (tmp_path / "pacs").mkdir()
    with run_dcmqrscp(tmp_path / "pacs", ["PACS"], {}) as (_, port):
        tables = tables_for(port, listener={"authenticators": ["devices"], "identity": "optional"})
        tables["authenticator"].append({"use": "network", "name": "devices", "devices": devices})
        with GatewayProcess(tmp_path, tables | {"rule": RULES}) as gateway:
            yield gateway, tmp_path / "pacs" / "PACS"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ["study", "object"])
def test_all_arrives_as_it_was_sent(bench: tuple[GatewayProcess, Path], what: str, tmp_path: Path) -> None:
    gateway, stored = bench
    (tmp_path / "sent").mkdir()
    (tmp_path / "got").mkdir()
    if what == "study":
        paths = ct_series(tmp_path / "sent", SLICES, rows=256)
    else:
        paths = [large_object(tmp_path / "sent" / "large.dcm")]
    study = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    keys: list[str | Path] = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
    seconds = [cpu(gateway)]
    for program, title, files, options in (
        ("storescu", "CT1", paths, []),
        ("getscu", "VIEWER", [], [*keys, "+B", "-od", tmp_path / "got"]),
    ):
        run = run_scu(program, gateway.address(), *files, called="PACS", options=["-aet", title, *options], timeout=600)
        assert run.status == 0, run.output[-2000:]
        seconds.append(cpu(gateway))
    sent = hashes(tmp_path / "sent")
    assert len(sent) == len(paths)
    assert sent == hashes(stored) == hashes(tmp_path / "got")
    closed = {record["calling_ae_title"]: record for record in gateway.told("Closed")}
    assert (closed["CT1"]["used"], closed["VIEWER"]["used"]) == ({"store": len(paths)}, {"get": 1})
    gigabytes = sum(path.stat().st_size for path in paths) / 1e9
    stored_at, got_at = ((end - start) / gigabytes for start, end in pairwise(seconds))
    report(f"inspected {what}", objects=len(paths), gb=gigabytes, store_cpu_s_per_gb=stored_at, get_cpu_s_per_gb=got_at)


def large_object(path: Path) -> Path:
    """A CT image in a file of MIB mebibytes: more pixels than any slice has."""
    image = ct_slice(path, study="large")
    del image.PixelData
    image.save_as(path, enforce_file_format=True)
    with path.open("ab") as file:
        length = (MIB << 20) - file.tell() - 12
        file.write(bytes.fromhex("e07f1000 4f57 0000") + length.to_bytes(4, "little"))
        for start in range(0, length, 1 << 20):
            file.write(secrets.token_bytes(min(1 << 20, length - start)))
    return path


def hashes(folder: Path) -> Sequence[str]:
    """The hash of each file's data set, which follows the file meta information (PS3.10 7.1); sorted."""
    found = []
    for path in folder.iterdir():
        with path.open("rb") as file:
            head = file.read(144)
            if head[128:132] != b"DICM":  # the index of dcmqrscp
                continue
            file.seek(144 + int.from_bytes(head[140:144], "little"))
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return sorted(found)
