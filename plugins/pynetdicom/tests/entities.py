"""An AE of pynetdicom with handlers, for the length of a `with` block; and how a client of pynetdicom logs in to it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification

from dicomgate.testing.peers.loopback import HOST, Address, free_port
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity

Answer: TypeAlias = tuple[int, int, int] | bytes | None
"""The codes of a rejection; else the content of sub-item 59H, None where there is none."""

TYPES = (1, 2, 3, 4, 5)
REFUSED_IDENTITY, TRY_LATER = (1, 2, 1), (2, 2, 1)


@contextmanager
def entity(
    *handlers: Any,
    bind: tuple[Any, ...] = (HOST,),
    tls: ssl.SSLContext | None = None,
    contexts: Sequence[str] = (Verification, CTImageStorage),
) -> Iterator[Address]:
    """Where it listens. `bind`: the host; for IPv6 perhaps flow information and scope as well."""
    threads: list[threading.Thread] = []
    acceptor = AE("WARD")
    acceptor.maximum_associations = 200
    for context in contexts:
        acceptor.add_supported_context(context, scu_role=True, scp_role=True)
    remember = (evt.EVT_CONN_OPEN, lambda event: threads.extend((event.assoc, event.assoc.dul)))
    host, *more = bind
    address = (host, free_port(), *more)
    acceptor.start_server(address, block=False, ssl_context=tls, evt_handlers=[remember, *handlers])
    try:
        yield address[:2]
    finally:
        acceptor.shutdown()
        for thread in threads:
            thread.join(timeout=20)
            assert not thread.is_alive(), f"{thread} did not end"


def log_in(
    address: Address,
    kind: int | None = 2,
    primary: bytes = b"alice",
    secondary: bytes = b"",
    *,
    response: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """What a client with this user identity (None: without one) is answered; who gets in, gets a C-ECHO done."""
    identity = None if kind is None else user_identity(kind, primary, secondary, positive_response_requested=response)
    while True:
        with associate(address, identity=identity, tls=tls) as association:
            if association.is_established:
                assert association.send_c_echo().Status == 0
                answer = association.acceptor.user_identity
                return None if answer is None else answer.server_response
            if association.is_rejected:
                refusal = association.acceptor.primitive
                return refusal.result, refusal.result_source, refusal.diagnostic
            # One rejection in some hundreds, if it comes at once, pynetdicom 3.0.4 takes for an abort.
            assert association.is_aborted
