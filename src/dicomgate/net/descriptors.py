"""File descriptors: as many as the limits need, or limits that do with what there are."""

from __future__ import annotations

import logging
import resource
import sys
from dataclasses import astuple

from .capacity import Limits

_log = logging.getLogger("dicomgate.gateway")
_BESIDE = 64  # standard streams, listeners, files, authenticators' own connections


def affordable(limits: Limits) -> Limits:
    """These limits, or lower ones if the system does not allow as many file descriptors; the log says so then."""
    # Two for each association, and one for each that is only answered.
    needed = 2 * limits.max_associations + limits.max_unauthenticated + _BESIDE
    allowed = _raise_soft_limit(needed)
    if allowed >= needed:
        return limits
    # Two halves of a place for the associations, half a place for those that are answered: 5/2 for each.
    most = max((allowed - _BESIDE) * 2 // 5, 4)
    # However few they are, one source has at most half of them, and half of its own before their login.
    lowered = Limits(*map(min, astuple(limits), (most, most // 2, most // 2, most // 4)))
    _log.warning(
        "%d file descriptors are allowed, %d are needed for max_associations = %d: raise the limit (LimitNOFILE); "
        "until then these are in force: %s", allowed, needed, limits.max_associations, lowered,
    )  # fmt: skip
    return lowered


def _raise_soft_limit(needed: int) -> int:
    """Raise it as far as it is needed and may be; return what it is then."""
    system = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in system)
    if soft < needed:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, system[1]))
    return soft
