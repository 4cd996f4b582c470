"""`use = "assertion-file"`: an assertion that another program renews in a file: User-Identity-Type 4 (PS3.7 D.3.3.7.1).

Rule 1: its signature is the upstream's to verify. What is read here is when it ends, and that it could be accepted.
Rule 2: a file that is missing or wrong never replaces the last good assertion; one that has ended is not presented.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dicomgate import Admission, ConfigError, Identity, IdentityType, Presented, Unavailable
from dicomgate.kit.files import read_private
from dicomgate.kit.text import without_mark
from dicomgate.kit.watched import Watched

from .authenticator import moment
from .claims import is_one_time, read_time
from .document import LONGEST, SAML, Element, RefusedError, read_document
from .structure import check_assertion, the_assertion

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Assertion:
    """What is in the file. `ends` is None for one that has no end, or that is encrypted."""

    content: bytes = field(repr=False)
    ends: datetime | None


@dataclass(kw_only=True, eq=False)
class AssertionFile:
    """One assertion for all associations. Raises ConfigError for a wrong file."""

    file: Path
    """The file with the assertion, as its issuer wrote it; not readable by everybody."""

    _assertion: Watched[_Assertion] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._assertion = Watched([self.file], lambda: _read(self.file), log=_log, describe=_described)

    async def present(self, admission: Admission, /) -> Presented | Unavailable:
        """The assertion of now, the same for everybody."""
        assertion = await self._assertion.current_async()
        if assertion.ends is not None and assertion.ends <= admission.time:
            return Unavailable(f"{self.file}: the assertion ended at {assertion.ends.isoformat()}; put a new one there")
        return Presented(Identity(IdentityType.SAML, assertion.content), expires_at=assertion.ends)


def _read(path: Path) -> _Assertion:
    content = without_mark(read_private(path, LONGEST)).strip(b" \t\r\n")
    try:
        root = read_document(content)
        assertion = the_assertion(root)
        if assertion.tag == f"{SAML}EncryptedAssertion":
            return _Assertion(content, None)
        check_assertion(root, assertion)
        return _Assertion(content, _end(assertion))
    except RefusedError as error:
        raise ConfigError(f"{path}: {error}") from None


def _end(assertion: Element) -> datetime | None:
    """The NotOnOrAfter of its Conditions (saml-core-2.0-os 2.5.1.2). Raises RefusedError."""
    if is_one_time(assertion):
        raise RefusedError("the assertion says OneTimeUse: it would open one association, and no other")
    ends = [element.get("NotOnOrAfter") for element in assertion.iterfind(f"{SAML}Conditions")]
    times = [read_time(end) for end in ends if end is not None]
    if not times:
        return None
    if len(times) > 1 or times[0] is None:
        raise RefusedError("the assertion's NotOnOrAfter is not one time in UTC")
    return moment(times[0])


def _described(assertion: _Assertion) -> str:
    ends = assertion.ends
    return "loaded; it does not say until when" if ends is None else f"loaded, valid until {ends.isoformat()}"
