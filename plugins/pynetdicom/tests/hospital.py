"""Handlers of EVT_USER_ID as they stand in somebody's AE: they know nothing of dicomgate."""

from __future__ import annotations

from typing import Any

from dicomgate import Attempt
from dicomgate.testing import ask
from dicomgate_pynetdicom import adapt
from plugins.pynetdicom.tests.wards import GENUINE

seen: list[Any] = []
"""The events that `remember` was called with."""
NOTHING = None


def handle_user_id(event: Any) -> tuple[bool, bytes | None]:
    if (event.primary_field, event.secondary_field or b"") != GENUINE[event.user_id_type]:
        return False, None
    return True, b"you are welcome" if event.user_id_type > 2 else None


def remember(event: Any, *args: Any) -> tuple[bool, bytes | None]:
    seen.append((event, *args))
    return handle_user_id(event)


def seen_by_the_handler(attempt: Attempt) -> Any:
    """The event that `remember` is called with for this attempt."""
    seen.clear()
    ask(adapt(remember), attempt)
    ((event,),) = seen
    return event


def named(event: Any) -> tuple[bool, bytes | None]:
    event.user = f"{event.primary_field.decode()}@ward"
    return True, None


async def later(event: Any) -> tuple[bool, bytes | None]:
    return True, None


class Ward:
    @staticmethod
    def handle(event: Any) -> tuple[bool, bytes | None]:
        return handle_user_id(event)
