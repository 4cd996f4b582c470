"""The codes that audit messages are made of: PS3.16 CID 400, 401 and 402, in the words of PS3.15 A.5.3."""

from __future__ import annotations


def coded(element: str, code: int, meaning: str) -> str:
    """An element of PS3.15 A.5.1's CodedValueType."""
    return f'<{element} csd-code="{code}" codeSystemName="DCM" originalText="{meaning}"/>'


def _event(code: int, meaning: str, kind: int, kind_meaning: str) -> str:
    return coded("EventID", code, meaning) + coded("EventTypeCode", kind, kind_meaning)


def _alert(kind: int, meaning: str) -> str:
    return _event(110113, "Security Alert", kind, meaning)


LOGIN = _event(110114, "User Authentication", 110122, "Login")
LOGOUT = _event(110114, "User Authentication", 110123, "Logout")
START = _event(110100, "Application Activity", 110120, "Application Start")
STOP = _event(110100, "Application Activity", 110121, "Application Stop")
NODE_AUTHENTICATION = _alert(110126, "Node Authentication")
SECURITY_CONFIGURATION = _alert(110129, "Security Configuration")
RECORDING_STOPPED = _alert(110133, "Audit Recording Stopped")
RECORDING_STARTED = _alert(110134, "Audit Recording Started")
USER_ATTRIBUTES = _alert(110137, "User Security Attributes Changed")

APPLICATION = coded("RoleIDCode", 110150, "Application")
LAUNCHER = coded("RoleIDCode", 110151, "Application Launcher")
NODE_ID = coded("ParticipantObjectIDTypeCode", 110182, "Node ID")

SUCCESS, MINOR, SERIOUS, MAJOR = 0, 4, 8, 12
"""PS3.15 A.5.1: EventOutcomeIndicator."""
