"""What the gateway received -> the event that a handler of EVT_USER_ID is given in a pynetdicom AE.

The event is pynetdicom's own class, and so are `assoc.requestor` and `assoc.acceptor`. The association is none: what
belongs to a running one has nothing to stand on in the gateway, and says so by name.
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
    """As pynetdicom's documentation of EVT_USER_ID names its attributes."""
    fields = {
        "user_id_type": int(identity.type),
        "primary_field": identity.primary,
        "secondary_field": identity.secondary if identity.type is IdentityType.USERNAME_AND_PASSCODE else None,
    }
    return evt.Event(RequestedAssociation(attempt), evt.EVT_USER_ID, fields)


class RequestedAssociation:
    """As an acceptor's `Association` before it is negotiated. All is made when it is looked at."""

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
        """An AE that is called like the one that the client called."""
        return AE(self._attempt.called_ae_title)

    @cached_property
    def requestor(self) -> ServiceUser:
        """The client: all that its A-ASSOCIATE-RQ says."""
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
        """The gateway. What the PACS will negotiate nobody knows yet: there stand the values of an AE as it is made."""
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
        """The called AE title, and where it was called."""
        info: dict[str, Any] = self.acceptor.info
        return info
