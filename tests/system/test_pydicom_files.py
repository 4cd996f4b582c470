"""The test files of pydicom, each in its own transfer syntax: they arrive byte for byte as without the gateway."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
import pytest
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, _config, build_context, evt
from pynetdicom.dsutils import split_dataset
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicomgate.testing.checkpoint import REPAIRED
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.loopback import HOST, Address, free_port
from dicomgate.testing.peers.pynetdicom_scu import user_identity
from dicomgate.testing.system_gateway import StartGateway, configuration

NAMES = ("MediaStorageSOPClassUID", "TransferSyntaxUID", "MediaStorageSOPInstanceUID")


class Image(NamedTuple):
    """What a C-STORE says of an image, and the bytes of its data set."""

    sop_class: UID
    transfer_syntax: UID
    instance: UID
    data_set: bytes


def files() -> dict[Path, Image]:
    """The files that are installed with pydicom, those that a storage service takes."""
    classes = {context.abstract_syntax for context in AllStoragePresentationContexts}
    found = {}
    for path in sorted(Path(pydicom.__file__).with_name("data").rglob("*")):
        if path.is_file() and path.read_bytes()[128:132] == b"DICM":
            meta, offset = split_dataset(path)
            sop_class, syntax, instance = (meta.get(name) for name in NAMES)
            if sop_class in classes and syntax and instance:
                found[path] = Image(sop_class, syntax, instance, path.read_bytes()[offset:])
    return found


@contextmanager
def archive(images: Sequence[Image]) -> Iterator[tuple[Address, list[Image]]]:
    """An acceptor that takes such images; what it gets, in its order."""
    stored: list[Image] = []
    threads: list[Any] = []

    def store(event: evt.Event) -> int:
        request, context = event.request, event.context
        data_set = request.DataSet.getvalue()
        image = Image(request.AffectedSOPClassUID, context.transfer_syntax, request.AffectedSOPInstanceUID, data_set)
        stored.append(image)
        return 0x0000

    entity = AE("ARCHIVE")
    for image in images:
        entity.add_supported_context(image.sop_class, image.transfer_syntax)
    address = HOST, free_port()
    remember = (evt.EVT_CONN_OPEN, lambda event: threads.extend((event.assoc, event.assoc.dul)))
    entity.start_server(address, block=False, evt_handlers=[remember, (evt.EVT_C_STORE, store)])
    try:
        yield address, stored
    finally:
        entity.shutdown()
        for thread in threads:
            thread.join(timeout=20)


def send(address: Address, images: dict[Path, Image], identity: UserIdentityNegotiation | None = None) -> None:
    """On one association, with a presentation context for each SOP class and transfer syntax."""
    kinds = dict.fromkeys((image.sop_class, image.transfer_syntax) for image in images.values())
    association = AE("PYDICOM").associate(
        *address,
        contexts=[build_context(*kind) for kind in kinds],
        ext_neg=[identity] if identity else [],
        evt_handlers=[REPAIRED],
    )
    assert len(association.accepted_contexts) == len(kinds)
    assert {association.send_c_store(path).Status for path in images} == {0}
    association.release()
    for thread in (association, association.dul):
        thread.join(timeout=20)


def test_every_file_arrives_byte_for_byte(gateway: StartGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # the bytes of the file, not encoded anew
    images = files()
    assert len(images) > 150
    assert len({image.transfer_syntax for image in images.values()}) >= 12
    with archive(list(images.values())) as (address, stored):
        send(address, images)
        directly = stored[:]
        stored.clear()
        running = gateway(configuration(address))
        send(running.address, images, user_identity(2, b"alice", ALICE))
        assert stored == directly
    assert stored == [*images.values()]
    running.wait_for("Closed", cause="released")
