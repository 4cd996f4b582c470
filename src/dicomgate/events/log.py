"""The operator's log: one line an event, with the association's id in front."""

from __future__ import annotations

import json
import logging

from .events import Cause, Closed, Decided, Established, Event, Opened, Outcome, Refused

_log = logging.getLogger("dicomgate.association")
_EXPECTED_ENDS = (Cause.RELEASED, Cause.REFUSED, Cause.DRAINED)
_LONGEST = 256


def quoted(text: str) -> str:
    """Text from a peer, in ASCII and in quotes: it cannot move the cursor or begin a line."""
    return json.dumps(text[:_LONGEST], ensure_ascii=True)


def _plain(text: str) -> str:
    """A reason, which may repeat text from a peer or a token; without the quotes."""
    return quoted(text)[1:-1]


def write_log(event: Event) -> None:
    """Log one event: refusals as warnings, unavailable authenticators as errors, the rest as information."""
    if isinstance(event, Opened):
        _log.debug("%s: opened by %s port %d on listener %s", event.id, event.address, event.port, event.listener)
    elif isinstance(event, Decided):
        level = {Outcome.ACCEPT: logging.INFO, Outcome.UNAVAILABLE: logging.ERROR}.get(event.outcome, logging.WARNING)
        _log.log(level, "%s: %s", event.id, _decision(event))
    elif isinstance(event, Refused):
        _log.warning("%s: refused with %s: %s", event.id, event.answer or "a closed connection", _plain(event.reason))
    elif isinstance(event, Established):
        _log.info(
            "%s: established %s -> %s through upstream %s, %d contexts accepted, %d rejected",
            event.id, _plain(event.calling_ae_title), _plain(event.called_ae_title), event.upstream,
            len(event.accepted), len(event.rejected),
        )  # fmt: skip
    elif isinstance(event, Closed):
        level = logging.INFO if event.cause in _EXPECTED_ENDS else logging.WARNING
        detail = f" ({_plain(event.detail)})" if event.detail else ""
        _log.log(
            level, "%s: closed after %.3f s: %s%s; relayed %d bytes from the client, %d from the upstream",
            event.id, event.seconds, event.cause.value, detail, event.bytes_from_client, event.bytes_from_upstream,
        )  # fmt: skip


def _decision(event: Decided) -> str:
    who = f"user {quoted(event.claimed)}" if event.claimed is not None else "no username"
    kind = "no identity" if event.identity_type is None else f"identity type {event.identity_type}"
    by = f" by {event.authenticator}" if event.authenticator else ""
    if event.outcome is Outcome.ACCEPT:
        return f"accepted{by} as {quoted(event.user or '')} ({kind}, {who})"
    return f"not accepted{by} ({kind}, {who}): {event.outcome.value}: {_plain(event.reason)}"
