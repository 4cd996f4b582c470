"""The service's side of Kerberos: a keytab, one principal, a replay cache (RFC 4120 3.2.3).

Rule 1: one principal. A ticket for another service whose key is in the same keytab is not for us.
Rule 2: AES alone. RC4 and DES are refused before anything is decrypted, whatever krb5.conf allows.
Rule 3: the replay cache of MIT Kerberos is on, and the same one for all forms of a token.
Rule 4: a keytab that changes and is good counts at once. One that is not takes nothing away: the last good one stays.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomgate import ConfigError
from dicomgate.kit.files import file_stamp

from . import gss, libkrb5
from .errors import KerberosError
from .form import ApReq, Form
from .keytab import Entry, Keys, read_keytab
from .libkrb5 import Accepted
from .replay import use_replay_cache

_log = logging.getLogger(__name__)
AES = {17: "aes128-cts-hmac-sha1-96", 18: "aes256-cts-hmac-sha1-96", 19: "aes128-cts-hmac-sha256-128",
       20: "aes256-cts-hmac-sha384-192"}  # fmt: skip
"""RFC 3962, RFC 8009."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What a login is judged with. The credentials read the keys: neither goes before the other."""

    entries: list[Entry]
    keys: Keys
    credentials: Any


class Acceptor:
    """Accepts for one service. Raises ConfigError at the start, never later; thread-safe."""

    def __init__(self, keytab: Path, service: str, replay_cache: Path | None) -> None:
        self._keytab = keytab
        self._service = service
        self.skew = libkrb5.clock_skew()
        self.replay_cache = use_replay_cache(replay_cache)
        self._seen = file_stamp(self._keytab)
        self._held = self._read()

    @property
    def entries(self) -> list[Entry]:
        """The keys that are used."""
        return self._held.entries

    @property
    def keys(self) -> str:
        """What libkrb5 calls them."""
        return self._held.keys.name

    def accept(self, request: ApReq) -> Accepted:
        """Verify what came. Raises KerberosError, whose words are for the log."""
        if weak := sorted(request.encryption - AES.keys()):
            raise KerberosError(
                0, f"encrypted with type {weak[0]}, which is not accepted: {', '.join(AES.values())} are"
            )
        self._look_again()
        held = self._held  # stays whole, whatever another thread takes over meanwhile
        if request.form is Form.RAW:
            return libkrb5.accept(request.ap_req, held.keys.name, self._service)
        return gss.accept(request.token, held.credentials, self.skew)

    def _read(self) -> _Held:
        entries = read_keytab(self._keytab)
        own = [entry for entry in entries if entry.principal == self._service]
        if not own:
            held = ", ".join(sorted({entry.principal for entry in entries})) or "no key"
            raise ConfigError(f"{self._keytab}: has no key of {self._service}; it has {held}")
        usable = [entry for entry in own if entry.encryption in AES]
        if not usable:
            raise ConfigError(f"{self._keytab}: has no AES key of {self._service}")
        keys = Keys(usable)
        try:
            return _Held(usable, keys, gss.credentials(keys.name, self._service))
        except KerberosError as error:
            raise ConfigError(f"{self._keytab}: {error}") from None

    def _look_again(self) -> None:
        stamp = file_stamp(self._keytab)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._held = self._read()
        except ConfigError as error:
            _log.error("not taken over, the last good keytab stays in force: %s", error)
        else:
            _log.info("%s: taken over, key versions %s", self._keytab, versions(self.entries))


def versions(entries: list[Entry]) -> str:
    """The key versions among these, newest first."""
    return ", ".join(str(version) for version in sorted({entry.version for entry in entries}, reverse=True))
