"""Hold an authenticator's answer against the contract: a decision, with fields of the right types."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timezone
from typing import cast

from ..contract import Accept, Decision, Once, Pass, Reject, Unavailable


@dataclass(frozen=True, slots=True)
class Defect:
    """What an authenticator did that the contract does not allow. `what` holds none of its data."""

    what: str


def check_decision(answer: object) -> Decision | Defect:
    """The answer itself if it is a sound decision, else the defect.

    An `Accept` comes back with plain values, so that an object of the plugin's own cannot raise later.
    """
    if type(answer) in (Reject, Pass, Unavailable):
        if not isinstance(cast(Reject | Pass | Unavailable, answer).reason, str):
            return Defect("its reason is not text")
        stands = getattr(answer, "stands", None)
        return cast(Decision, answer) if stands is None or callable(stands) else Defect("its stands is not a function")
    if inspect.iscoroutine(answer):
        answer.close()
        return Defect("it answered with a coroutine: its authenticate is not an async def that awaits its answer")
    if type(answer) is not Accept:
        return Defect(f"it answered with {type(answer).__name__}, which is no decision")
    if not isinstance(answer.user, str) or not answer.user:
        return Defect("it accepted without a user")
    if not isinstance(answer.groups, frozenset) or not _is_text(answer.groups):
        return Defect("its groups are not a frozenset of text")
    if not isinstance(answer.server_response, bytes | None):
        return Defect("its server_response is not bytes")
    if answer.expires_at is not None and not _is_moment(answer.expires_at):
        return Defect("its expires_at is not a datetime with a time zone")
    if answer.handle is not None and not _is_hashable(answer.handle):
        return Defect("its handle is not hashable")
    once = answer.once
    if once is not None and not _is_once(once):
        return Defect("its once is not a key in text and a datetime with a time zone")
    attributes = answer.attributes
    if not isinstance(attributes, Mapping):
        return Defect("its attributes are not a mapping")
    plain = dict(attributes)
    if not _is_text(plain) or not _is_text(plain.values()):
        return Defect("its attributes are not text by text")
    if type(attributes) is dict and (answer.expires_at is None or type(answer.expires_at.tzinfo) is timezone):
        return answer
    return replace(answer, attributes=plain, expires_at=answer.expires_at and answer.expires_at.astimezone(UTC))


def _is_once(once: object) -> bool:
    return (
        isinstance(once, Once)
        and _is_text([once.key])
        and _is_moment(once.until)
        and (once.made is None or _is_moment(once.made))
    )


def check_standing(answer: object) -> Accept | Reject | Unavailable | Defect:
    """The same for an answer of `still_valid`."""
    decision = check_decision(answer)
    return Defect("it passed on a user whom it had accepted") if isinstance(decision, Pass) else decision


def _is_hashable(handle: object) -> bool:
    try:
        hash(handle)
    except Exception:  # noqa: BLE001
        return False
    return True


def _is_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None
