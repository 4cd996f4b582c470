"""The service's side of Kerberos: a keytab, one principal, a replay cache (RFC 4120 3.2.3).

Rule 1: one principal. A ticket for another service is refused even if the same keytab has that service's key.
Rule 2: AES only. RC4 and DES are refused before anything is decrypted, whatever krb5.conf allows.
Rule 3: the replay cache of MIT Kerberos is always on, and all forms of a token share it.
Rule 4: a good keytab is used from the next login on. A broken one changes nothing (dicomgate.kit.watched).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomgate import ConfigError
from dicomgate.kit.watched import Watched

from . import gss, libkrb5
from .errors import KerberosError
from .form import ApReq, Form
from .keytab import AES, Entry, Keys, usable_keys
from .libkrb5 import Accepted
from .replay import use_replay_cache

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a login is verified with. The credentials read the keys: both must live equally long."""

    entries: list[Entry]
    keys: Keys
    credentials: Any


class Acceptor:
    """Verifies tokens for `service` ("dicom/host@REALM"). Thread-safe. Raises ConfigError when made, never later."""

    def __init__(self, keytab: Path, service: str, replay_cache: Path | None) -> None:
        self._keytab = keytab
        self._service = service
        self.skew = libkrb5.clock_skew()
        self.replay_cache = use_replay_cache(replay_cache)
        self._loaded = Watched([keytab], self._load, log=_log, describe=_describe)

    @property
    def entries(self) -> list[Entry]:
        """The keys in use."""
        return self._loaded.current().entries

    @property
    def keys(self) -> str:
        """The name under which libkrb5 opens them."""
        return self._loaded.current().keys.name

    def accept(self, request: ApReq) -> Accepted:
        """Verify a token. Raises KerberosError, whose text is for the log."""
        if weak := sorted(request.encryption - AES.keys()):
            raise KerberosError(f"encrypted with type {weak[0]}, which is not accepted: {', '.join(AES.values())} are")
        loaded = self._loaded.current()  # one consistent set, whatever another thread loads meanwhile
        if request.form is Form.RAW:
            return libkrb5.accept(request.ap_req, loaded.keys.name, self._service)
        return gss.accept(request.token, loaded.credentials, self.skew)

    def _load(self) -> _Loaded:
        usable = usable_keys(self._keytab, self._service)
        try:
            keys = Keys(usable)
            return _Loaded(usable, keys, gss.credentials(keys.name, self._service))
        except OSError as error:
            raise ConfigError(f"{self._keytab}: {error.strerror}") from error
        except KerberosError as error:
            # An OSError as the cause makes the next login try again (kit.watched, rule 2).
            raise ConfigError(f"{self._keytab}: {error}") from (OSError(str(error)) if error.unavailable else None)


def _describe(loaded: _Loaded) -> str:
    versions = sorted({entry.version for entry in loaded.entries}, reverse=True)
    return f"loaded, key versions {', '.join(map(str, versions))}"
