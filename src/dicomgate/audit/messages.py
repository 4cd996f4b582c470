"""Records -> DICOM Audit Messages (PS3.15 A.5), as XML.

Law: each login that was accepted has one Login message, and one Logout message when its association ends, whatever the
end is. A login that was refused has one Login message with the claimed user. A refusal of what is no login is an alert.

Made by text templates: two of these are made for each association, and an XML library would take ten times as long.
"""

from __future__ import annotations

import base64
import os
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, TypeAlias, TypeGuard
from xml.sax.saxutils import unescape

from ..events.events import Cause, Closed, Decided, Event, Facts, Lost, Operated, Outcome, ReasonClass, Refused
from ..events.moments import utc
from ..kit.text import one_line
from . import codes

Told: TypeAlias = Decided | Refused | Closed
"""The events that have messages."""

Record: TypeAlias = Told | Operated | Lost
"""All that has messages."""

_LONGEST = 256
_LONGEST_DESCRIPTION = 1_024
_MOST_PEOPLE = 256
_ODD = re.compile(r"""[^ !#-%'-;=?-~]""")  # all that is not plain ASCII, and & < > "
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_BY_GATEWAY = frozenset(
    (Cause.EXPIRED, Cause.IDLE, Cause.TIMEOUT, Cause.KICKED, Cause.DISABLED, Cause.UNVERIFIABLE, Cause.DRAINED)
)
_VIOLATIONS = frozenset((Cause.CLIENT_VIOLATION, Cause.UPSTREAM_VIOLATION))
_LOGINS = frozenset(
    (ReasonClass.WRONG_CREDENTIAL, ReasonClass.NOBODY_CLAIMS, ReasonClass.MALFORMED_IDENTITY, ReasonClass.THROTTLED,
     ReasonClass.LOCKED, ReasonClass.REPLAYED, ReasonClass.EXPIRED, ReasonClass.NO_IDENTITY, ReasonClass.CLEARTEXT,
     ReasonClass.UNAVAILABLE, ReasonClass.DEADLINE, ReasonClass.AUDIT_UNAVAILABLE, ReasonClass.NOT_GRANTED,
     ReasonClass.USER_LIMIT, ReasonClass.KICKED)
)  # fmt: skip
_OUTCOMES = {
    ReasonClass.THROTTLED: codes.SERIOUS,
    ReasonClass.UNAVAILABLE: codes.SERIOUS,
    ReasonClass.DEADLINE: codes.SERIOUS,
    ReasonClass.AUDIT_UNAVAILABLE: codes.SERIOUS,
    # PS3.15 A.5.2: 12 for an "account disabled due to excessive invalid log-on attempts"
    ReasonClass.LOCKED: codes.MAJOR,
}
"""Of logins that were refused; all others are minor failures."""
_ENTERPRISE_IDS = ("principal", "sub")
_AT_THE_PAGE = {"log in": codes.LOGIN, "log out": codes.LOGOUT}
_OF_USERS = frozenset(("kick", "kick user", "shut out", "let in", "clear"))


class Message(NamedTuple):
    """One audit message: when what it tells of happened (seconds since 1970, and in words), if it failed, the XML."""

    time: float
    moment: str
    failure: bool
    xml: str


def concerns(event: Event) -> TypeGuard[Told]:
    """True if the event has a message; quick, for the event loop."""
    if isinstance(event, Decided):
        return event.outcome is Outcome.ACCEPT
    if isinstance(event, Closed):
        return event.cause in _VIOLATIONS or (event.cause is not Cause.REFUSED and event.facts.user is not None)
    return isinstance(event, Refused)


class Messages:
    """Makes the messages of one node. `site` is its AuditEnterpriseSiteID, "" for none."""

    def __init__(self, node: str, site: str = "") -> None:
        self._node = text(node)
        self._people = lru_cache(_MOST_PEOPLE)(self._made_people)  # a modality logs in again and again
        site_id = f'AuditEnterpriseSiteID="{text(site)}" ' if site else ""
        # PS3.15 A.5.1: "6" is "Security server, e.g., a domain controller"
        self._source = (
            f'<AuditSourceIdentification {site_id}AuditSourceID="{self._node}">'
            '<AuditSourceTypeCode csd-code="6"/></AuditSourceIdentification>'
        )

    def of(self, record: Record, more: int = 0) -> tuple[Message, ...]:
        """The messages of one record; `more` is how many others like it they stand for."""
        match record:
            case Decided():
                return (self._login(record),)
            case Refused():
                return (self._refusal(record, f"; {more} more like this within a minute" if more else ""),)
            case Closed():
                return self._end(record)
            case Operated():
                return (self._deed(record),)
            case Lost():
                return self._lost(record)

    def activity(self, started: bool) -> Message:
        """The gateway has started, or ends."""
        launcher = f'<ActiveParticipant UserID="uid {os.getuid()}" UserIsRequestor="true">{codes.LAUNCHER}'
        process = self._gateway(f"{os.getpid()}", False)
        event = codes.START if started else codes.STOP
        return self._message(datetime.now(UTC), codes.SUCCESS, event, "", f"{process}{launcher}</ActiveParticipant>")

    def _login(self, event: Decided) -> Message:
        facts, attributes = event.facts, event.attributes
        enterprise = ""
        if attributes:
            enterprise = next((attributes[name] for name in _ENTERPRISE_IDS if name in attributes), "")
        people = self._people_of(facts, enterprise, False)
        return self._message(event.time, codes.SUCCESS, codes.LOGIN, _where(facts), people)

    def _refusal(self, event: Refused, more: str) -> Message:
        facts, kind = event.facts, event.reason_class
        why = f"{kind.value}: {text(event.reason, _LONGEST_DESCRIPTION)}{more}; {_where(facts)}"
        if facts.user is not None:
            # It was accepted, and has its Login message.
            people = self._people_of(facts, "", True)
            return self._message(event.time, codes.MINOR, codes.LOGOUT, why, people)
        if kind in _LOGINS:
            people = self._people_of(facts, "", False)
            return self._message(event.time, _OUTCOMES.get(kind, codes.MINOR), codes.LOGIN, why, people)
        return self._node_alert(event.time, codes.MINOR, facts, why)

    def _end(self, event: Closed) -> tuple[Message, ...]:
        facts, cause = event.facts, event.cause
        relayed = f"{event.bytes_from_client} bytes from the client, {event.bytes_from_upstream} from the upstream"
        detail = event.detail and f" ({text(event.detail)})"
        why = f"{cause._value_}{detail}; {event.seconds:.3f} s, {relayed}; {_where(facts)}"
        alerts = (self._node_alert(event.time, codes.SERIOUS, facts, why),) if cause in _VIOLATIONS else ()
        if facts.user is None:
            return alerts
        people = self._people_of(facts, "", cause in _BY_GATEWAY)
        return self._message(event.time, codes.SUCCESS, codes.LOGOUT, why, people), *alerts

    def _deed(self, deed: Operated) -> Message:
        done = f"{deed.action} {deed.target}".rstrip()
        why = text("; ".join(filter(None, (done, deed.reason, deed.problem))), _LONGEST_DESCRIPTION)
        outcome = codes.MINOR if deed.problem else codes.SUCCESS
        if at_the_page := _AT_THE_PAGE.get(deed.action):
            people = _participant(deed.by, requestor=True) + self._gateway("", False)
            return self._message(deed.time, outcome, at_the_page, why, people)
        event = codes.USER_ATTRIBUTES if deed.action in _OF_USERS else codes.SECURITY_CONFIGURATION
        return self._alert(deed.time, outcome, event, why, _participant(deed.by, requestor=False))

    def _lost(self, lost: Lost) -> tuple[Message, ...]:
        why = f"{lost.count} audit records are lost: {text(lost.reason)}"
        return (
            self._alert(lost.since, codes.SERIOUS, codes.RECORDING_STOPPED, why, ""),
            self._alert(lost.until, codes.SERIOUS, codes.RECORDING_STARTED, why, ""),
        )

    def _node_alert(self, time: datetime, outcome: int, facts: Facts, why: str) -> Message:
        # PS3.15 A.5.3.11: of who performed it, UserIsRequestor "shall be FALSE"
        calling = facts.calling_ae_title
        titles = f"AETITLES={calling}" if calling else ""
        by = _participant(calling or facts.address, titles, facts.address, requestor=False)
        return self._alert(time, outcome, codes.NODE_AUTHENTICATION, why, by)

    def _alert(self, time: datetime, outcome: int, event: str, why: str, by: str) -> Message:
        description = base64.b64encode(unescape(why, {"&quot;": '"'}).encode()).decode()
        # PS3.15 A.5.1: a name or a query is required
        subject = (
            f'<ParticipantObjectIdentification ParticipantObjectID="{self._node}" ParticipantObjectTypeCode="2">'
            f"{codes.NODE_ID}<ParticipantObjectName>{self._node}</ParticipantObjectName>"
            f'<ParticipantObjectDetail type="Alert Description" value="{description}"/>'
            "</ParticipantObjectIdentification>"
        )
        return self._message(time, outcome, event, why, self._gateway("", False) + by, subject)

    def _people_of(self, facts: Facts, enterprise: str, ended: bool) -> str:
        """The person, who asked for it, and the gateway; or the gateway has `ended` it."""
        return self._people(
            facts.user, facts.authenticator, facts.claimed, facts.address, facts.called_ae_title, enterprise, ended
        )

    def _made_people(
        self,
        user: str | None,
        authenticator: str,
        claimed: str | None,
        address: str,
        called: str,
        enterprise: str,
        ended: bool,
    ) -> str:
        name = user or claimed or "unknown"
        # PS3.15 A.5.2.1: "loginName@domain-name"
        if user is not None and "@" not in user:
            name = f"{user}@{authenticator}"
        person = _participant(name, enterprise, address, requestor=not ended)
        return person + self._gateway(f"AETITLES={called}" if called else "", ended)

    def _gateway(self, alternative: str, requestor: bool) -> str:
        also = f' AlternativeUserID="{text(alternative)}"' if alternative else ""
        who = f'UserID="{self._node}"{also} UserIsRequestor="{_truth(requestor)}"'
        return f"<ActiveParticipant {who}>{codes.APPLICATION}</ActiveParticipant>"

    def _message(self, time: datetime, outcome: int, event: str, why: str, people: str, objects: str = "") -> Message:
        told = f"<EventOutcomeDescription>{why}</EventOutcomeDescription>" if why else ""
        at = utc(time)
        return Message(
            time.timestamp(),
            at,
            outcome != codes.SUCCESS,
            '<?xml version="1.0" encoding="UTF-8"?><AuditMessage>'
            f'<EventIdentification EventActionCode="E" EventDateTime="{at}" '
            f'EventOutcomeIndicator="{outcome}">'
            f"{event}{told}</EventIdentification>{people}{self._source}{objects}</AuditMessage>",
        )


def text(value: str, longest: int = _LONGEST) -> str:
    """Text from outside for an attribute or an element: cut, on one line, escaped."""
    if len(value) > longest:
        value = value[: longest - 1] + "…"
    return value if _ODD.search(value) is None else one_line(value).translate(_ESCAPES)


def _participant(user: str, alternative: str = "", address: str = "", *, requestor: bool) -> str:
    also = f' AlternativeUserID="{text(alternative)}"' if alternative else ""
    # PS3.15 A.5.1: NetworkAccessPointTypeCode "2" is "IP Address"
    at = f' NetworkAccessPointID="{text(address)}" NetworkAccessPointTypeCode="2"' if address else ""
    return f'<ActiveParticipant UserID="{text(user)}"{also} UserIsRequestor="{_truth(requestor)}"{at}/>'


def _where(facts: Facts) -> str:
    return f"{_way(facts.calling_ae_title, facts.listener, facts.upstream, facts.via)}, association {facts.id}"


@lru_cache(_MOST_PEOPLE)
def _way(calling: str, listener: str, upstream: str, via: str) -> str:
    titles = f"calling AE title {calling!r}, " if calling else ""
    onward = f", upstream {upstream}" if upstream else ""
    return text(f"{titles}listener {listener}{onward}{f', via {via}' if via else ''}")


def _truth(value: bool) -> str:
    return "true" if value else "false"
