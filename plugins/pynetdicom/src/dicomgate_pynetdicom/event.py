"""An attempt -> the event that pynetdicom calls a handler of EVT_USER_ID with.

The event, `assoc.requestor` and `assoc.acceptor` are of pynetdicom's own classes. `assoc` is not: the gateway has no
running pynetdicom association, and an attribute that needs one raises AttributeError and says so.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import ServiceUser
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.transport import AddressInformation

from dicomgate import Attempt, Identity, IdentityType


def event_of(attempt: Attempt, identity: Identity) -> evt.Event:
    """The event, with the attributes that pynetdicom documents for EVT_USER_ID."""
    fields = {
        "user_id_type": int(identity.type),
        "primary_field": identity.primary,
        "secondary_field": identity.secondary if identity.type is IdentityType.USERNAME_AND_PASSCODE else None,
    }
    return evt.Event(RequestedAssociation(attempt), evt.EVT_USER_ID, fields)


class RequestedAssociation:
    """Looks like an acceptor's `Association` before negotiation. Its parts are made on first access."""

    mode = "acceptor"
    is_acceptor = True
    is_requestor = False
    is_established = False
    is_rejected = False
    is_aborted = False
    is_released = False

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.accepted_contexts: list[Any] = []
        self.rejected_contexts: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"assoc.{name} is not offered: in the gateway there is no running pynetdicom association")

    @cached_property
    def ae(self) -> AE:
        """An AE with the called AE title."""
        return AE(self._attempt.called_ae_title)

    @cached_property
    def requestor(self) -> ServiceUser:
        """The client, with all that its A-ASSOCIATE-RQ says."""
        if self._attempt.request is None:
            raise RuntimeError("assoc.requestor is not offered: this attempt did not come as an A-ASSOCIATE-RQ")
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(self._attempt.request())
        user = ServiceUser(self, "requestor")
        user.address_info = AddressInformation(self._attempt.peer.address, self._attempt.peer.port)
        user.primitive = pdu.to_primitive()
        user.ae_title = user.primitive.calling_ae_title
        return user

    @cached_property
    def acceptor(self) -> ServiceUser:
        """The gateway. The PACS has not negotiated yet, so the values are those of a new AE."""
        address, port = self._attempt.arrived_at
        user = ServiceUser(self, "acceptor")
        user.ae_title = self._attempt.called_ae_title
        user.address_info = AddressInformation(address, port) if address else None
        user.maximum_length = self.ae.maximum_pdu_size
        user.implementation_version_name = self.ae.implementation_version_name
        return user

    @property
    def remote(self) -> dict[str, Any]:
        """The client's AE title, address and port, and its PDV size."""
        info: dict[str, Any] = self.requestor.info
        return info

    @property
    def local(self) -> dict[str, Any]:
        """The called AE title, and the address that the client connected to."""
        info: dict[str, Any] = self.acceptor.info
        return info
