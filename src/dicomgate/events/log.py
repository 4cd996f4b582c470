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
    level = _level(event)
    if _log.isEnabledFor(level):
        _log.log(level, "%s: %s", event.id, _text(event))


def _level(event: Event) -> int:
    if isinstance(event, Opened):
        return logging.DEBUG
    if isinstance(event, Refused):
        return logging.WARNING
    if isinstance(event, Decided) and event.outcome is not Outcome.ACCEPT:
        return logging.ERROR if event.outcome is Outcome.UNAVAILABLE else logging.WARNING
    if isinstance(event, Closed) and event.cause not in _EXPECTED_ENDS:
        return logging.WARNING
    return logging.INFO


def _text(event: Event) -> str:
    if isinstance(event, Opened):
        return f"opened by {event.address} port {event.port} on listener {event.listener}"
    if isinstance(event, Decided):
        return _decision(event)
    if isinstance(event, Refused):
        return f"refused with {event.answer or 'a closed connection'}: {_plain(event.reason)}"
    if isinstance(event, Established):
        titles = f"{_plain(event.calling_ae_title)} -> {_plain(event.called_ae_title)}"
        contexts = f"{len(event.accepted)} contexts accepted, {len(event.rejected)} rejected"
        left_out = f"; left out: {_plain('; '.join(event.left_out))}" if event.left_out else ""
        return f"established {titles} through upstream {event.upstream}, {contexts}{left_out}"
    detail = f" ({_plain(event.detail)})" if event.detail else ""
    relayed = f"relayed {event.bytes_from_client} bytes from the client, {event.bytes_from_upstream} from the upstream"
    return f"closed after {event.seconds:.3f} s: {event.cause.value}{detail}; {relayed}"


def _decision(event: Decided) -> str:
    who = f"user {quoted(event.claimed)}" if event.claimed is not None else "no username"
    kind = "no identity" if event.identity_type is None else f"identity type {event.identity_type}"
    by = f" by {event.authenticator}" if event.authenticator else ""
    if event.outcome is Outcome.ACCEPT:
        return f"accepted{by} as {quoted(event.user or '')} ({kind}, {who})"
    return f"not accepted{by} ({kind}, {who}): {event.outcome.value}: {_plain(event.reason)}"
