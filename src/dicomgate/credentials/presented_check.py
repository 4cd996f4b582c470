"""Hold a credential's answer against the contract, and its identity against the standard."""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import UTC, datetime

from ..auth.decision_check import Defect
from ..contract import Identity, IdentityType, Presented, Unavailable
from ..errors import DoesNotFit
from ..wire.reject_abort import PduError
from ..wire.user_identity import encode_identity, read_identity

_HEADER = 4  # bytes of a sub-item: type, reserved, length


def check_presented(answer: object) -> Presented | Unavailable | Defect:
    """The answer itself if it is a sound one, else the defect, which has none of its data."""
    if type(answer) is Unavailable:
        return answer if isinstance(answer.reason, str) else Defect("its reason is not text")
    if inspect.iscoroutine(answer):
        answer.close()
        return Defect("it answered with a coroutine: its present is not an async def that awaits its answer")
    if type(answer) is not Presented:
        return Defect(f"it answered with {type(answer).__name__}, which is neither Presented nor Unavailable")
    if wrong := _wrong_identity(answer.identity):
        return Defect(wrong)
    if answer.verify is not None and not callable(answer.verify):
        return Defect("its verify is not a function")
    ends = answer.expires_at
    if ends is None:
        return answer
    if not isinstance(ends, datetime) or ends.utcoffset() is None:
        return Defect("its expires_at is not a datetime with a time zone")
    return replace(answer, expires_at=ends.astimezone(UTC))


def _wrong_identity(identity: object) -> str:
    """What is wrong with the identity: the gateway presents none that it would not take itself. "" if it is right."""
    if type(identity) is not Identity or not isinstance(identity.type, IdentityType):
        return "its identity is not an Identity"
    if type(identity.primary) is not bytes or type(identity.secondary) is not bytes:
        return "its identity has fields that are not bytes"
    try:
        read_identity(encode_identity(identity)[_HEADER:])
    except DoesNotFit:
        return ""  # the handshake finds that out, with all else that is in the request
    except PduError:
        return f"its identity of type {identity.type.value} is not one of the standard's: a field is empty or not text"
    return ""
