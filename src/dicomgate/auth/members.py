"""What an authenticator says of itself besides its answers: the optional members of the contract.

A member of a wrong type is the plugin's defect, told when the authenticator is made.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from ..contract import IdentityType, Probed
from ..errors import PluginError, place

_Probe = Callable[[], Awaitable[Sequence[Probed]]]


@dataclass(frozen=True, slots=True)
class Members:
    """The optional members of an authenticator: None where it has none."""

    handles: frozenset[object] | None
    needs_client_certificate: bool
    answers_within: timedelta | None
    probe: _Probe | None
    locks_after: Callable[[], int]
    """Asked once the authenticator is entered. 0: never, or it does not know."""
    still_valid: Callable[..., object] | None


def read_members(name: str, plugin: object) -> Members:
    """The optional members of an authenticator or a credential; `name` is for messages. Raises PluginError."""
    within = getattr(plugin, "answers_within", None)
    if within is not None and not isinstance(within, timedelta):
        raise PluginError(f"{name}: answers_within must be a timedelta")
    probe = getattr(plugin, "probe", None)
    if probe is not None and not inspect.iscoroutinefunction(probe):
        raise PluginError(f"{name}: probe must be an async def")
    if type(getattr(plugin, "locks_after", 0)) is not int:
        raise PluginError(f"{name}: locks_after must be a number")
    still_valid = getattr(plugin, "still_valid", None)
    if still_valid is not None and not callable(still_valid):
        raise PluginError(f"{name}: still_valid must be a method")
    needs_certificate = getattr(plugin, "needs_client_certificate", False) is True
    return Members(
        _handles(name, plugin),
        needs_certificate,
        within,
        cast("_Probe | None", probe),
        lambda: getattr(plugin, "locks_after", 0),
        still_valid,
    )


def _handles(name: str, plugin: object) -> frozenset[object] | None:
    try:
        handles = getattr(plugin, "handles", None)
        if handles is None:
            return None
        return frozenset(kind if kind is None else IdentityType(kind) for kind in handles)
    except Exception:  # noqa: BLE001
        raise PluginError(f"{name}: handles must be a collection of IdentityType and None") from None


async def probed(probe: _Probe, seconds: float) -> Sequence[Probed]:
    """What `probe` finds, within `seconds` whatever it does. Raises only if cancelled."""
    asking = asyncio.ensure_future(_asked(probe))
    try:
        await asyncio.wait((asking,), timeout=seconds)
        if not asking.done():  # not awaited any longer: it may ignore its cancellation
            return [Probed("what it depends on", f"no answer within {seconds:g} s")]
    finally:
        asking.cancel()
    return (
        [Probed("what it depends on", "defect: it broke the task it ran in")] if asking.cancelled() else asking.result()
    )


async def _asked(probe: _Probe) -> Sequence[Probed]:
    # Nothing may escape from here: SystemExit in a task would end the event loop.
    try:
        found = list(await probe())
        if not all(isinstance(one, Probed) for one in found):
            return _unknown("defect: probe must return Probed objects")
    except BaseException as error:  # noqa: BLE001 (its text may hold a secret)
        return _unknown(f"defect: {place(error)}")
    return found


def _unknown(problem: str) -> Sequence[Probed]:
    return [Probed("what it depends on", problem)]
