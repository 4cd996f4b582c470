"""What a login without a purpose of its own asks for: the Verification SOP class (PS3.4 annex A)."""

from __future__ import annotations

from ..contract import Identity
from ..wire.associate import AssociateRequest
from ..wire.presentation import ProposedContext
from ..wire.user_information import Negotiation

CONTEXT = 1
"""The id of the one presentation context."""
VERIFICATION = b"1.2.840.10008.1.1"
MAXIMUM_LENGTH = 16_384
"""The longest P-DATA-TF that we take."""

_IMPLICIT_VR_LITTLE_ENDIAN = b"1.2.840.10008.1.2"
_IMPLEMENTATION_CLASS_UID = b"2.25.221836491547027846370528418927363529281"
_IMPLEMENTATION_VERSION_NAME = b"DICOMGATE"


def verification_request(calling: str, called: str, identity: Identity | None) -> AssociateRequest:
    """An A-ASSOCIATE-RQ that proposes Verification in implicit VR, little endian."""
    return AssociateRequest(
        called,
        calling,
        (ProposedContext(CONTEXT, VERIFICATION, (_IMPLICIT_VR_LITTLE_ENDIAN,)),),
        Negotiation(
            maximum_length=MAXIMUM_LENGTH,
            implementation_class_uid=_IMPLEMENTATION_CLASS_UID,
            implementation_version_name=_IMPLEMENTATION_VERSION_NAME,
        ),
        identity,
    )
