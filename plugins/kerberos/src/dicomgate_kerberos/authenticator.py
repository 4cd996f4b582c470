"""`use = "kerberos"`: User-Identity-Type 3, verified by MIT Kerberos (PS3.7 D.3.3.7.1, PS3.15 B.6; RFC 4120, RFC 4121).

Rule 1: nobody is asked over the network: a login needs the keytab and nothing else, whether the KDC answers or not.
Rule 2: a token logs in once. MIT's replay cache sees to it on this machine, and the gateway's own on all of them.
Rule 3: what the library says is for the log. The client learns nothing but that it was refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicomgate import Accept, Attempt, ConfigError, Decision, IdentityType, Once, Pass, Reject, Unavailable

from .acceptor import Acceptor
from .errors import KerberosError
from .form import ApReq, Form, NotAnApReqError, read_field
from .libkrb5 import Accepted
from .principal import NotAllowedError, Realms

_log = logging.getLogger(__name__)
_LONGEST_SHOWN = 200
_PRINCIPAL = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*@([A-Za-z0-9_.-]+)")


@dataclass(kw_only=True, eq=False)
class Kerberos:
    """The users of one or more realms, at one service.

    Raises ConfigError for what is wrong with these keys, the keytab, or the replay cache.
    """

    keytab: Path
    """The file with the service's keys; not open to everybody."""

    principal: str
    """The one service that tickets must be for: "dicom/gateway.hospital.example@HOSPITAL.EXAMPLE"."""

    realms: Sequence[str] = ()
    """The realms whose users may come. Without any: the service's own."""

    strip_realms: Sequence[str] = ()
    """Of these realms the user's name goes without: "alice" for alice@HOSPITAL.EXAMPLE."""

    forms: Sequence[str] = ("gss", "raw")
    """What a client may send: "gss" (an initial token of the GSS-API), "raw" (an AP-REQ), "spnego"."""

    replay_cache: Path | None = None
    """The file in which MIT Kerberos remembers tokens. None: the one of the system's user, in /var/tmp."""

    handles: frozenset[IdentityType] = field(init=False, repr=False, default=frozenset({IdentityType.KERBEROS}))
    acceptor: Acceptor = field(init=False, repr=False)
    _realms: Realms = field(init=False, repr=False)
    _forms: frozenset[Form] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        match = _PRINCIPAL.fullmatch(self.principal)
        if match is None:
            raise ConfigError('principal: must be of the form "dicom/host.example@REALM.EXAMPLE"')
        allowed = list(self.realms) or [match[1]]
        if not set(self.strip_realms) <= set(allowed):
            raise ConfigError("strip_realms: has a realm that is not among the realms")
        if len(self.strip_realms) > 1:
            raise ConfigError("strip_realms: at most one: alice of two realms would be one user")
        self._realms = Realms(allowed, self.strip_realms)
        if not self.forms or not set(self.forms) <= _FORMS.keys():
            raise ConfigError(f"forms: some of {', '.join(_FORMS)}")
        self._forms = frozenset(_FORMS[form] for form in self.forms)
        self.acceptor = Acceptor(self.keytab, self.principal, self.replay_cache)

    def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt, in a thread of this authenticator's own."""
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.KERBEROS:
            return Pass("not a Kerberos token")
        try:
            request = read_field(identity.primary)
            if request.service != self.principal:
                return self._pass_on(request, attempt)
            if request.form not in self._forms:
                return Reject(f"{request.form.value}: this form is not among the forms")
            accepted = self.acceptor.accept(request)
            user = self._realms.user(accepted.client)
        except KerberosError as error:
            return Unavailable(str(error)) if error.could_not_look else Reject(str(error))
        except (NotAnApReqError, NotAllowedError) as error:
            return Reject(str(error))
        return self._accept(request, accepted, user)

    def _pass_on(self, request: ApReq, attempt: Attempt) -> Pass:
        """Another table may be for that service. If none is, the log is where one can see what went wrong."""
        reason = f"the ticket is for {request.service[:_LONGEST_SHOWN]}, not for {self.principal}"
        _log.info("%s: %s", attempt.id, reason)
        return Pass(reason)

    def _accept(self, request: ApReq, accepted: Accepted, user: str) -> Accept:
        # Made at most a skew ahead of our clock, it is accepted until a skew after that; and the clocks of the gateways
        # may differ as well. Then it is refused for its age.
        until = datetime.now(UTC) + timedelta(seconds=3 * self.acceptor.skew)
        return Accept(
            user,
            server_response=request.in_its_form(accepted.answer) or None,
            expires_at=datetime.fromtimestamp(accepted.ends, UTC),
            once=Once(f"{self.principal}\0{request.fingerprint}", until),
            attributes={"principal": accepted.client},
        )


_FORMS = {"gss": Form.GSS, "raw": Form.RAW, "spnego": Form.SPNEGO}
