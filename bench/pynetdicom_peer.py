"""pynetdicom as people use it: an acceptor with an EVT_USER_ID handler, or a C-STORE forwarder. A process of its own.

`python -m bench.pynetdicom_peer KIND PORT UPSTREAM_PORT`
"""

from __future__ import annotations

import sys
from typing import Any

from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from .contestants import FORWARDER, STORAGE_ACCEPTOR

_MOST = 2000  # associations at once


def accept(_: Any) -> tuple[bool, None]:
    """The trivial authenticator of pynetdicom."""
    return True, None


def accept_echoes(port: int, with_storage: bool) -> None:
    """Answer C-ECHO for ever; with the storage classes supported too, as by a PACS, or without."""
    ae = AE("PACS")
    ae.maximum_associations = _MOST
    ae.network_timeout = None
    if with_storage:
        ae.supported_contexts = StoragePresentationContexts
    ae.add_supported_context(Verification)
    ae.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_USER_ID, accept), (evt.EVT_C_ECHO, lambda _: 0)])


def forward_stores(port: int, upstream: int) -> None:
    """Send every C-STORE on: one association to the server for each that comes in."""
    ae = AE("PACS")
    ae.supported_contexts = StoragePresentationContexts
    ae.requested_contexts = StoragePresentationContexts
    onward: dict[Any, Any] = {}

    def opened(event: Any) -> None:
        onward[event.assoc] = ae.associate("127.0.0.1", upstream)

    def store(event: Any) -> Any:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        return onward[event.assoc].send_c_store(dataset)

    def released(event: Any) -> None:
        onward.pop(event.assoc).release()

    handlers = [
        (evt.EVT_USER_ID, accept),
        (evt.EVT_ACCEPTED, opened),
        (evt.EVT_C_STORE, store),
        (evt.EVT_RELEASED, released),
    ]
    ae.start_server(("127.0.0.1", port), evt_handlers=handlers)


def main() -> None:
    """Serve for ever."""
    kind, port, upstream = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if kind == FORWARDER:
        forward_stores(port, upstream)
    else:
        accept_echoes(port, kind == STORAGE_ACCEPTOR)


if __name__ == "__main__":
    main()
