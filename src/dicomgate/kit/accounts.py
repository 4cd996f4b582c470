"""The system's users and groups by name; by number where they have none."""

from __future__ import annotations

import grp
import pwd


def user_name(uid: int) -> str:
    """What a user is called."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """What a group is called."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
