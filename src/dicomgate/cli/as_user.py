"""Become the user of the service: what root may read says nothing about what that user may."""

from __future__ import annotations

import os
import pwd

from ..errors import ConfigError

SERVICE = "dicomgate"
"""The user of the documented unit."""


def become(user: str | None) -> str | None:
    """Go on as this user; None: as `dicomgate`, if root asks and there is such a user. Returns the name, or None.

    Raises ConfigError if there is no such user, or if only root could become that.
    """
    is_root = os.geteuid() == 0
    try:
        entry = pwd.getpwnam(user or SERVICE)
    except KeyError:
        if user is None:
            return None
        raise ConfigError(f"--user: there is no user {user!r}") from None
    if entry.pw_uid == os.geteuid() or (user is None and not is_root):
        return None
    if not is_root:
        raise ConfigError(f"--user: only root can check as {user!r}; you are user {os.geteuid()}")
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    return entry.pw_name
