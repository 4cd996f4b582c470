"""`use = "token-file"`: a token that somebody else writes into a file, and renews there.

Rule: a token that has ended by what it says itself is not presented.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from dicomgate import Admission, ConfigError, Identity, IdentityType, Presented, Unavailable
from dicomgate.kit.files import read_private
from dicomgate.kit.watched import Watched

from .token import LONGEST, is_bearer, plain, unverified_end

_log = logging.getLogger(__name__)


class _Held(NamedTuple):
    """The token as it is sent, and when it ends by its `exp`."""

    identity: Identity
    ends: datetime | None


@dataclass(kw_only=True, eq=False)
class TokenFile:
    """The token in a file. Raises ConfigError if there is none; one that has ended is no error, it may be renewed."""

    token_file: Path
    """The file with the token, on one line; not readable by everybody."""

    _held: Watched[_Held] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        path = self.token_file
        self._held = Watched([path], lambda: _read(path), log=_log, describe=_described)

    async def present(self, admission: Admission, /) -> Presented | Unavailable:
        """The token that is in the file now."""
        identity, ends = await self._held.current_async()
        if ends is not None and ends <= admission.time:
            return Unavailable(f"{self.token_file}: the token expired at {ends.isoformat()}; a new one must be written")
        return Presented(identity, expires_at=ends)


def _read(path: Path) -> _Held:
    token = plain(read_private(path, LONGEST + len("Bearer \r\n")))
    if not is_bearer(token):
        raise ConfigError(f"{path}: must be one line with a token: visible characters, no spaces")
    return _Held(Identity(IdentityType.JWT, token), unverified_end(token))


def _described(held: _Held) -> str:
    return "loaded" if held.ends is None else f"loaded, it expires at {held.ends.isoformat()}"
