"""How much a store keeps, for how long, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds. `all_of_it`: what goes through all levers may take so many deadlines.

    `skew`: a used key is kept longer than its credential lives, because another gateway's clock may be behind.
    """

    deadline: float = 1.0
    all_of_it: int = 10
    levers: int = 100_000
    pairs: int = 100_000
    used: int = 1_000_000
    forget_lever: float = 30 * _DAY
    forget_pair: float = 90 * _DAY
    skew: float = 300.0
    sweep: int = 100
