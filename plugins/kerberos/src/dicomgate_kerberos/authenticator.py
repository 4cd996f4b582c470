"""`use = "kerberos"`: User-Identity-Type 3, verified by MIT Kerberos (PS3.7 D.3.3.7.1, PS3.15 B.6; RFC 4120, RFC 4121).

Rule 1: nothing is asked over the network. A login needs the keytab only, whether or not the KDC answers.
Rule 2: a token logs in once. MIT's replay cache ensures that on this machine, the gateway's state on all of them.
Rule 3: the library's messages are for the log. The client only learns that it was refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from dicomgate import Accept, Attempt, ConfigError, Decision, IdentityType, Once, Pass, Reject, Unavailable, always

from .acceptor import Acceptor
from .errors import KerberosError, NeverGoodError
from .form import ApReq, Form, read_field
from .libkrb5 import Accepted

_log = logging.getLogger(__name__)
_LONGEST_SHOWN = 200
LONGEST_NAME = 256
"""Characters of a principal, realm included."""
_ANONYMOUS = "WELLKNOWN/"
_CANONICALIZE = "the client must request its ticket with canonicalize = true in krb5.conf, or kinit -C"
PRINCIPAL = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*@([A-Za-z0-9_.-]+)")
"""With a realm, which is its group; not what libkrb5 would escape."""


@dataclass(frozen=True, slots=True)
class Realms:
    """The realms whose users may log in (`allowed`), and those that a user's name is stripped of (`stripped`)."""

    allowed: Sequence[str]
    stripped: Sequence[str]

    def user(self, principal: str) -> str:
        """The user: `alice@HOSPITAL`, or `alice` where the realm is stripped. Raises NeverGoodError."""
        name, _, realm = principal.rpartition("@")
        if realm not in self.allowed:
            raise NeverGoodError(f"its realm {realm[:80]!r} is not among the realms")
        # RFC 8062 3, RFC 6111: WELLKNOWN/ANONYMOUS and the like identify no user.
        if name.startswith(_ANONYMOUS) or realm.startswith("WELLKNOWN:"):
            raise NeverGoodError("it is anonymous")
        # libkrb5 escapes special characters of a name with backslashes.
        if r"\@" in name and principal.isprintable():
            typed = name.replace("\\", "")[:_LONGEST_SHOWN]
            raise NeverGoodError(f"{typed!r} is an enterprise name (RFC 6806), not that of an account: {_CANONICALIZE}")
        if not name or len(principal) > LONGEST_NAME or not principal.isprintable() or "\\" in name or "@" in name:
            raise NeverGoodError("its name is empty, too long, or has characters that are not accepted")
        return name if realm in self.stripped else principal


@dataclass(kw_only=True, eq=False)
class Kerberos:
    """The users of one or more realms, at one service. Raises ConfigError for a wrong key, keytab or replay cache."""

    keytab: Path
    """The file with the service's keys. It must not be readable by everybody."""

    principal: str
    """The service that tickets must be for: "dicom/gateway.hospital.example@HOSPITAL.EXAMPLE"."""

    realms: Sequence[str] = ()
    """The realms whose users may log in. Default: the service's own realm."""

    strip_realms: Sequence[str] = ()
    """The realm that is removed from a user's name: "alice" for alice@HOSPITAL.EXAMPLE."""

    forms: Sequence[str] = ("gss", "raw")
    """What a client may send: "gss" (an initial GSS-API token), "raw" (an AP-REQ), "spnego"."""

    replay_cache: Path | None = None
    """The file in which MIT Kerberos remembers tokens. Default: the system user's own, in /var/tmp."""

    handles: ClassVar = frozenset({IdentityType.KERBEROS})
    acceptor: Acceptor = field(init=False, repr=False)
    _realms: Realms = field(init=False, repr=False)
    _forms: frozenset[Form] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        match = PRINCIPAL.fullmatch(self.principal)
        if match is None:
            raise ConfigError('principal: must be of the form "dicom/host.example@REALM.EXAMPLE"')
        allowed = list(self.realms) or [match[1]]
        if not set(self.strip_realms) <= set(allowed):
            raise ConfigError("strip_realms: has a realm that is not among the realms")
        if len(self.strip_realms) > 1:
            raise ConfigError("strip_realms: at most one, or alice of two realms would be the same user")
        self._realms = Realms(allowed, self.strip_realms)
        if not self.forms or not set(self.forms) <= _FORMS.keys():
            raise ConfigError(f"forms: must be one or more of {', '.join(_FORMS)}")
        self._forms = frozenset(_FORMS[form] for form in self.forms)
        self.acceptor = Acceptor(self.keytab, self.principal, self.replay_cache)

    def authenticate(self, attempt: Attempt, /) -> Decision:
        """Verify one attempt. Runs in a thread of this authenticator."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.KERBEROS:
            return Pass("not a Kerberos token")
        try:
            request = read_field(identity.primary)
        except KerberosError as error:
            return Reject(str(error), always)
        if not self._may_be_for_us(request.service):
            return self._pass_on(request, attempt)
        try:
            if request.form not in self._forms:
                return Reject(f"{request.form.value}: this form is not among the configured forms")
            accepted = self.acceptor.accept(request)
            user = self._realms.user(accepted.client)
        except KerberosError as error:
            if error.unavailable:
                return Unavailable(str(error))
            if error.not_for_us:
                return self._pass_on(request, attempt, f": {error}")
            return Reject(str(error), always if isinstance(error, NeverGoodError) else None)
        return self._accept(request, accepted, user)

    def _may_be_for_us(self, service: str) -> bool:
        """True if the names are the same but for upper and lower case: Active Directory writes what the client typed.

        The key decides. A service in other letters that has a key of its own is another one, and is passed on.
        """
        (name, _, realm), (own, _, own_realm) = service.rpartition("@"), self.principal.rpartition("@")
        return realm == own_realm and name.lower() == own.lower()

    def _pass_on(self, request: ApReq, attempt: Attempt, why: str = "") -> Pass:
        """Another table may be for that service. If none is, this log line tells the operator what went wrong."""
        reason = f"the ticket is for {request.service[:_LONGEST_SHOWN]}, not for {self.principal}{why}"
        _log.info("%s: %s", attempt.id, reason)
        return Pass(reason, None if why else always)  # another keytab may have the key

    def _accept(self, request: ApReq, accepted: Accepted, user: str) -> Accept:
        # A token may be dated up to one clock skew ahead of our clock, and is accepted until one skew after its date.
        # The gateways' clocks may differ by a third. After that its age alone refuses it.
        now, skew = datetime.now(UTC), timedelta(seconds=self.acceptor.skew)
        return Accept(
            user,
            server_response=request.in_its_form(accepted.answer) or None,
            expires_at=datetime.fromtimestamp(accepted.ends, UTC),
            once=Once(f"{self.principal}\0{request.fingerprint}", now + 3 * skew, made=now - skew),
            attributes={"principal": accepted.client},
        )


_FORMS = {"gss": Form.GSS, "raw": Form.RAW, "spnego": Form.SPNEGO}
