"""File descriptors: raise the soft limit to what the limits need, or lower the limits to what there is."""

from __future__ import annotations

import logging
import resource
import sys
from dataclasses import astuple

from .capacity import Limits

_log = logging.getLogger("dicomgate.gateway")
_RESERVE = 64  # standard streams, listeners, files, authenticators' own connections


def affordable(limits: Limits) -> Limits:
    """These limits; or lower ones, with a warning in the log, if the system allows too few file descriptors."""
    # Two for each association, and one for each connection that is only answered.
    needed = 2 * limits.max_associations + limits.max_unauthenticated + _RESERVE
    allowed = _raise_soft_limit(needed)
    if allowed >= needed:
        return limits
    # Two for an association, and half as many answered connections as associations with one each: 5/2.
    most = max((allowed - _RESERVE) * 2 // 5, 4)
    # One source may have half of all, and half of its own may be unauthenticated.
    lowered = Limits(*map(min, astuple(limits), (most, most // 2, most // 2, most // 4)))
    _log.warning(
        "%d file descriptors are allowed, %d are needed for max_associations = %d: raise the limit (LimitNOFILE); "
        "until then these are in force: %s", allowed, needed, limits.max_associations, lowered,
    )  # fmt: skip
    return lowered


def _raise_soft_limit(needed: int) -> int:
    """Raise it to `needed`, or as far as the hard limit allows; return the new limit."""
    system = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in system)
    if soft < needed:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, system[1]))
    return soft
