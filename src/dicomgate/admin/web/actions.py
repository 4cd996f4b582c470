"""What operators do at the page, and what is said of it afterwards. Whether they may, is checked by those who call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from ...errors import DicomgateError, StateUnavailable
from ...kit.durations import parse_duration
from ...net.pool import Order
from ..operator import Ended
from .shown import duration, line
from .site import Site

Form: TypeAlias = Mapping[str, str]
_ORDERED: Mapping[Order, str] = {
    "ready": "gets associations again",
    "drain": "gets no more associations; those that are there stay",
    "down": "gets no more associations, and is not checked; those that are there stay",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What became of it, in sentences. `done` is how many things were changed; `failed` if it could not be done."""

    sentences: tuple[str, ...]
    done: int = 0
    failed: bool = False


async def _kick(site: Site, form: Form, by: str) -> Said:
    wanted = form.get("id", "")
    ended = await site.operator.kick([wanted], by, form.get("reason", ""))
    about = f"Association {line(wanted)} was ended."
    if not ended.total:
        about = f"There is no association {line(wanted)} any more."
    return Said((about, *_elsewhere(ended)), ended.total)


async def _kick_user(site: Site, form: Form, by: str) -> Said:
    user = form.get("user", "")
    authenticator, _, name = user.partition("/")
    if not name:
        return Said(("user: write it as authenticator/name.",), failed=True)
    try:
        refused_for = parse_duration(form["for"]) if form.get("for") else None
    except ValueError as error:
        return Said((f"for: {error}",), failed=True)
    try:
        ended = await site.operator.kick_user(name, by, form.get("reason", ""), refused_for, authenticator)
    except DicomgateError as error:
        return Said((line(error),), failed=True)
    if refused_for == timedelta(0):
        return Said((f"{line(user)} is let in again.", *_elsewhere(ended)))
    count = ended.total
    about = [f"{count} association{' was' if count == 1 else 's were'} ended: {line(user)}."]
    if refused_for is not None:
        about.append(f"New ones are refused for {duration(refused_for.total_seconds())}.")
    return Said((*about, *_elsewhere(ended)), count)


def _elsewhere(ended: Ended) -> Iterator[str]:
    """What the other gateways did not say."""
    if ended.silent:
        yield f"No answer from {line(', '.join(ended.silent))}: it is done there if they hear of it within a minute."
    if ended.problem:
        yield f"The other gateways could not be asked: {line(ended.problem)}"


async def _clear(site: Site, form: Form, by: str) -> Said:
    key = form.get("key", "")
    try:
        cleared = await site.operator.clear([key], by)
    except StateUnavailable as error:
        return Said((f"Nothing was cleared: {line(error)}",), failed=True)
    site.failed_logins.forget()
    about = f"Counter {line(key)} was cleared." if cleared else f"There is no counter {line(key)} any more."
    return Said((about,), cleared)


async def _order(site: Site, form: Form, by: str) -> Said:
    upstream, address = form.get("upstream", ""), form.get("address", "")
    order = next((one for one in _ORDERED if one == form.get("order")), None)
    if order is None:
        return Said((f"order: write one of {', '.join(_ORDERED)}.",), failed=True)
    try:
        await site.operator.order(upstream, address, order, by)
    except DicomgateError as error:
        return Said((line(error),), failed=True)
    return Said((f"{line(address)} of {line(upstream)} {_ORDERED[order]}.",), 1)


async def _reload(site: Site, _: Form, by: str) -> Said:
    if problems := await site.operator.reload(by):
        return Said(("The configuration cannot be used. Nothing has changed.", *map(line, problems)), failed=True)
    return Said(("The configuration was read again. New associations use it.",), 1)


async def _drain(site: Site, _: Form, by: str) -> Said:
    await site.operator.drain(by)
    return Said(("The gateway takes no new association, and ends when those under way have.",), 1)


ACTIONS: Mapping[str, Callable[[Site, Form, str], Awaitable[Said]]] = {
    "kick": _kick,
    "kick-user": _kick_user,
    "clear": _clear,
    "order": _order,
    "reload": _reload,
    "drain": _drain,
}
"""What may be done, by its name in the address."""


def as_recorded(name: str) -> str:
    """What this action is called in the audit."""
    return name.replace("-", " ")
