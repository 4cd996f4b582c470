"""C-STOREs that take their time: real images, cut into PDUs by pynetdicom, and sent one PDU after a while."""

import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from ssl import SSLContext
from typing import Any

from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF

from bench.messages import PASSCODE
from dicomgate.contract import Identity, IdentityType
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.raw_client import RELEASE_RP, RawClient
from dicomgate.testing.slices import ct_slice
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate.wire.user_information import Negotiation

_EXPLICIT = b"1.2.840.10008.1.2.1"
_ROWS = 256
_LONGEST = 16_382  # what pynetdicom's acceptor says
_SUCCESS = bytes.fromhex("0000 0009 02000000 0000")  # Status (0000,0900), PS3.7 table 9.3-2


class Store(threading.Thread):
    """One association with one C-STORE, as a thread: for some seconds it sends all but the last PDU.

    `begun` is set when it has sent the first; the last is sent when `may_end` is set. In the end `error` says why it
    has failed, if it has.
    """

    def __init__(self, folder: Path, number: int, address: Address, tls: SSLContext | None, seconds: float) -> None:
        super().__init__(name=f"store {number}")
        image = ct_slice(folder / "slice.dcm", number, rows=_ROWS)
        self.uid = str(image.SOPInstanceUID)
        self.data_set = encode(image, is_implicit_vr=False, is_little_endian=True)
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self._pdus = list(_c_store(image, self.data_set))
        self._request = _request(image.SOPClassUID)
        self._address = address
        self._tls = tls
        self._pace = seconds / len(self._pdus)

    @property
    def sent(self) -> int:
        """Bytes of its C-STORE-RQ."""
        return sum(map(len, self._pdus))

    def run(self) -> None:
        try:
            with RawClient(self._address, self._tls) as client:
                self._store(client)
        except (AssertionError, OSError) as error:
            self.error = error
        finally:
            self.begun.set()

    def _store(self, client: RawClient) -> None:
        assert client.ask(self._request)[0] == 2
        *pdus, last = self._pdus
        for pdu in pdus:
            client.send(pdu)
            self.begun.set()
            time.sleep(self._pace)
        assert self.may_end.wait(30)
        client.send(last)
        assert _SUCCESS in client.pdu()
        assert client.release() == RELEASE_RP


def _request(sop_class: str) -> bytes:
    context = ProposedContext(1, sop_class.encode(), (_EXPLICIT,))
    identity = Identity(IdentityType.USERNAME_AND_PASSCODE, b"alice", PASSCODE)
    return AssociateRequest("PACS", "STORE", (context,), Negotiation(_LONGEST, b"1.2.3.4"), identity).encode()


def _c_store(image: Any, data_set: bytes) -> Iterator[bytes]:
    primitive = C_STORE()
    primitive.MessageID = 1
    primitive.AffectedSOPClassUID = image.SOPClassUID
    primitive.AffectedSOPInstanceUID = image.SOPInstanceUID
    primitive.Priority = 2
    primitive.DataSet = BytesIO(data_set)
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    for fragments in message.encode_msg(1, _LONGEST):
        pdu = P_DATA_TF()
        pdu.from_primitive(fragments)
        yield pdu.encode()
