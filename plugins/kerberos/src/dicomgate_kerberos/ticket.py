"""`use = "ticket"`: the gateway logs in to the upstream with Kerberos: type 3 (PS3.7 D.3.3.7.1, PS3.15 B.6).

Rule 1: each association gets a token of its own (an AP-REQ in the GSS-API's frame, RFC 4121), with mutual
        authentication. No credential is delegated: the token is of no use to the upstream.
Rule 2: the answer (59H) proves the upstream if it is the AP-REP to this token, and nothing else does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from dicomgate import Admission, ConfigError, Identity, IdentityType, Presented, Probed, Unavailable

from .authenticator import PRINCIPAL
from .errors import KerberosError
from .gss import Login
from .tickets import PATIENCE, Tickets, of_cache, of_keytab


@dataclass(kw_only=True, eq=False)
class Ticket:
    """Kerberos logins of one account at one service. Raises ConfigError for wrong keys and files."""

    service: str
    """The upstream's service: "dicom/pacs.hospital.example@HOSPITAL.EXAMPLE"."""

    keytab: Path | None = None
    """The file with the keys of the `principal`; not readable by everybody."""

    principal: str | None = None
    """As whom the gateway logs in, with its realm, as it is in the `keytab`."""

    cache: Path | None = None
    """Instead of a keytab: the file of a credential cache, which another program renews."""

    answers_within: ClassVar = timedelta(seconds=PATIENCE)
    _tickets: Tickets = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for key, name in (("service", self.service), ("principal", self.principal)):
            if name is not None and not PRINCIPAL.fullmatch(name):
                raise ConfigError(f'{key}: must be of the form "dicom/host.example@REALM.EXAMPLE"')
        if self.keytab is not None and self.principal is not None and self.cache is None:
            self._tickets = Tickets(self.service, of_keytab(self.keytab, self.principal))
        elif self.cache is not None and self.keytab is None and self.principal is None:
            self._tickets = Tickets(self.service, of_cache(self.cache))
        else:
            raise ConfigError("keytab, cache: either a keytab with its principal, or a cache alone")

    def present(self, _: Admission, /) -> Presented | Unavailable:
        """A token for this association. Runs in a thread of this credential: it may wait for the KDC."""
        try:
            ticket = self._tickets.current()
            login = Login(self.service, ticket.opened.credentials)
        except KerberosError as error:
            return Unavailable(f"no ticket for {self.service}: {error}")
        return Presented(Identity(IdentityType.KERBEROS, login.token), login.verify, _moment(ticket.ends))

    async def probe(self) -> list[Probed]:
        """Ask the KDC for a ticket."""
        what = f"the KDC, for a ticket for {self.service}"
        try:
            ticket = self._tickets.outcome(await asyncio.wrap_future(self._tickets.request()))
        except KerberosError as error:
            return [Probed(what, str(error))]
        return [Probed(what, detail=f"valid until {_moment(ticket.ends).isoformat(timespec='seconds')}")]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
