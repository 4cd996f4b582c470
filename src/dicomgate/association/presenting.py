"""The gateway's login at the upstream: what a credential is asked with, what the response proves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..contract import Admission, Attempt
from ..errors import place
from .admission import Admit
from .route import Shown


def admission_of(attempt: Attempt, admit: Admit, upstream: str, shown: Shown, now: datetime) -> Admission:
    """One who was admitted, as the credential sees him."""
    accept = admit.accept
    return Admission(
        attempt.id,
        attempt.listener,
        upstream,
        admit.authenticator,
        accept.user,
        accept.groups,
        accept.attributes,
        shown.calling_ae_title or attempt.calling_ae_title,
        shown.called_ae_title or attempt.called_ae_title,
        attempt.identity,
        now,
        accept.expires_at,
    )


def verified(verify: Callable[[bytes], str], response: bytes) -> str:
    """What `verify` finds wrong with a server response; "" if nothing. Whatever it does, it lets nothing else pass."""
    try:
        wrong: object = verify(response)
    except BaseException as error:  # noqa: BLE001 (its text may hold a secret)
        return f"defect: {place(error)}"
    return wrong if isinstance(wrong, str) else f"defect: verify returned {type(wrong).__name__}"
