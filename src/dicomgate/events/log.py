"""The operator's log: one line for each outcome, with everything that is known of the association.

A line begins with the association's id and what became of it; then come the client's address and port, which no text
from a peer can precede: fail2ban reads them (deploy/fail2ban). `extra["event"]` has the same as separate fields.
"""

from __future__ import annotations

import logging
from typing import TypeAlias

from ..kit.text import one_line
from .events import (
    CONTEXT,
    Cause,
    Closed,
    Decided,
    Denied,
    Established,
    Event,
    Facts,
    Opened,
    Operated,
    ReasonClass,
    Refused,
)

_log = logging.getLogger("dicomgate.association")
_operators = logging.getLogger("dicomgate.operator")
_EXPECTED_ENDS = (Cause.RELEASED, Cause.DRAINED)
_FAILED_LOGINS = (
    ReasonClass.WRONG_CREDENTIAL,
    ReasonClass.NOBODY_CLAIMS,
    ReasonClass.MALFORMED_IDENTITY,
    ReasonClass.THROTTLED,
    ReasonClass.LOCKED,
    ReasonClass.REPLAYED,
)
"""A client that causes many of these is guessing; the other classes are mistakes in a configuration, or faults."""
_LONGEST = 256
_Logged: TypeAlias = Decided | Refused | Established | Denied | Closed


def quoted(text: str) -> str:
    """Text from a peer in quotes, on one line; quotes in it and what is not printable are escaped."""
    escaped = text[:_LONGEST].replace("\\", r"\\").replace('"', r"\"")
    return f'"{one_line(escaped)}"'


def _plain(text: str) -> str:
    """A reason or an AE title, which has no quotes around it."""
    return one_line(text[:_LONGEST])


def write_log(event: Event) -> None:
    """Log one event: what ends a login as a warning or an error, what goes well as information, steps for debugging."""
    if isinstance(event, Opened):
        return  # that was logged when it happened; its record comes once the client has sent something
    level = _level(event)
    if _log.isEnabledFor(level):
        _log.log(level, "%s: %s", event.facts.id, _text(event), extra={"event": event})


def log_operated(deed: Operated) -> None:
    """Log what an operator did, or tried to."""
    target, reason = deed.target and f" {quoted(deed.target)}", deed.reason and f": {_plain(deed.reason)}"
    what = f"{deed.action}{target}, by {_plain(deed.by)}{reason}"
    if deed.problem:
        _operators.warning("%s: not done: %s", what, _plain(deed.problem))
    else:
        _operators.info("%s", what)


def _level(event: _Logged) -> int:
    if isinstance(event, Refused):
        return logging.ERROR if event.reason_class is ReasonClass.UNAVAILABLE else logging.WARNING
    if isinstance(event, Established):
        return logging.INFO
    if isinstance(event, Denied):
        if event.operation == CONTEXT:
            return logging.DEBUG  # many clients propose in each request all that they may ever ask for
        return logging.WARNING if event.enforced else logging.INFO
    if isinstance(event, Closed) and event.cause is not Cause.REFUSED:
        return logging.INFO if event.cause in _EXPECTED_ENDS else logging.WARNING
    return logging.DEBUG  # a step, or the close that follows a refusal


def _text(event: _Logged) -> str:
    what, detail = _what(event)
    return f"{what}: {_who(event.facts)}{detail and ': '}{detail}"


def _what(event: _Logged) -> tuple[str, str]:
    """The outcome in a word or two, and the details that are not among the facts of the association."""
    if isinstance(event, Decided):
        return f"decided {event.outcome.value}", _plain(event.reason)
    if isinstance(event, Refused):
        what = "login refused" if event.reason_class in _FAILED_LOGINS else "refused"
        return what, f"{_plain(event.reason)}; answered with {event.answer or 'a closed connection'}"
    if isinstance(event, Established):
        left_out = f"; left out: {_plain('; '.join(event.left_out))}" if event.left_out else ""
        withheld = f"; no rule allows: {', '.join(event.withheld)}" if event.withheld else ""
        counts = f"{len(event.accepted)} SOP classes accepted, {len(event.rejected)} rejected"
        credential = f"; credential {event.credential}" if event.credential else ""
        titles = f"; the upstream sees {_plain(' -> '.join(event.shown_ae_titles))}" if event.shown_ae_titles else ""
        at = f"at {event.upstream_address}; " if event.upstream_address else ""
        return "established", f"{at}{counts}{credential}{titles}{withheld}{left_out}"
    if isinstance(event, Denied):
        return _denied(event)
    relayed = f"{event.bytes_from_client} bytes from the client, {event.bytes_from_upstream} from the upstream"
    detail = event.detail and f": {_plain(event.detail)}"
    return f"closed ({event.cause.value}{detail})", f"after {event.seconds:.3f} s, {relayed}"


def _denied(event: Denied) -> tuple[str, str]:
    if not event.missing:
        return "would have been aborted", _plain(event.operation)
    what = "denied" if event.enforced else "would have been denied"
    wanting = f"no rule allows it; it would take {event.missing}; matching rules: {', '.join(event.rules) or 'none'}"
    return what, _plain(f"{event.operation}: {wanting}")


def _who(facts: Facts) -> str:
    """`192.0.2.1 port 50000, listener clinical, CT1 -> PACS, user "alice" (staff), upstream pacs`, as far as known.

    Behind a load balancer also `via 10.0.0.5 ("C0A8:01")`.
    """
    known = [f"{facts.address} port {facts.port}", f"listener {facts.listener}"]
    if facts.via:
        known.append(f"via {facts.via}{facts.unique_id and f' ({quoted(facts.unique_id)})'}")
    if facts.called_ae_title:
        known.append(f"{_plain(facts.calling_ae_title)} -> {_plain(facts.called_ae_title)}")
    if facts.user is not None:
        known.append(f"user {quoted(facts.user)} ({facts.authenticator})")
    elif facts.claimed is not None:
        known.append(f"claimed user {quoted(facts.claimed)}")
    elif facts.identity_type is not None:
        known.append(f"identity type {facts.identity_type}")
    if facts.upstream:
        known.append(f"upstream {facts.upstream}")
    return ", ".join(known)
