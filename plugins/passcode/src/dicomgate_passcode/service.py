"""`use = "service"`: the upstream sees one account, the gateway's own: User-Identity-Type 2 (PS3.7 D.3.3.7.1).

Rule: the passcode is only ever in the file and in what is presented. A file that is missing or wrong never replaces the
      last good passcode.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from dicomgate import Admission, ConfigError, Identity, IdentityType, Presented
from dicomgate.kit.files import read_secret
from dicomgate.kit.text import is_name
from dicomgate.kit.watched import Watched

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class Service:
    """One username and passcode for all associations. Raises ConfigError for a wrong name, and for a wrong file."""

    username: str
    """The gateway's account at the upstream."""

    passcode_file: Path
    """The file with the passcode of that account, on one line; not readable by everybody."""

    _passcode: Watched[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not is_name(self.username):
            raise ConfigError("username: must be 1 to 256 printable characters, without a space at its ends")
        self._passcode = Watched([self.passcode_file], lambda: read_secret(self.passcode_file), log=_log)

    async def present(self, _: Admission, /) -> Presented:
        """The same for everybody, with the passcode of now."""
        passcode = await self._passcode.current_async()
        return Presented(Identity(IdentityType.USERNAME_AND_PASSCODE, self.username.encode(), passcode))
