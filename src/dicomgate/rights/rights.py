"""What one association may do: the sum of the rules that match. Settled once, when it is admitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .rule import OWN, Rule, Who, is_one_of


class Moves(NamedTuple):
    """Where one rule lets C-MOVE send to with its SOP classes: to `titles`, with `*` for any characters, and `own`."""

    classes: frozenset[bytes]
    titles: tuple[str, ...]
    own: str | None = None


@dataclass(frozen=True, slots=True)
class Rights:
    """What an association may do. `everything`: all that the PACS allows. `rules` are the names of those that match."""

    everything: bool = False
    classes: frozenset[bytes] = frozenset()
    moves: tuple[Moves, ...] = ()
    rules: tuple[str, ...] = ()

    def grants(self, sop_class: bytes) -> bool:
        """Whether the services of this SOP class may be used."""
        return self.everything or sop_class in self.classes

    def may_move(self, sop_class: bytes, destination: str) -> bool:
        """Whether C-MOVE with this SOP class may name this destination, which is without padding."""
        return self.everything or any(
            sop_class in classes and (destination == own or is_one_of(destination, titles))
            for classes, titles, own in self.moves
        )


EVERYTHING = Rights(everything=True)
"""Without rules."""


def rights_of(rules: Sequence[Rule], who: Who) -> Rights:
    """The rights of one who was admitted: of these rules, those that match."""
    matching = [rule for rule in rules if not rule.miss(who)]
    return Rights(
        any(rule.everything for rule in matching),
        _union(tuple(rule.classes for rule in matching)),
        tuple(_moves(rule, who) for rule in matching if rule.destinations),
        tuple(rule.name for rule in matching),
    )


@lru_cache(1024)
def _union(grants: tuple[frozenset[bytes], ...]) -> frozenset[bytes]:
    return frozenset().union(*grants)


def _moves(rule: Rule, who: Who) -> Moves:
    # The own title apart: the client chose it, and a "*" in it is a character.
    own = who.calling_ae_title if OWN in rule.destinations else None
    return Moves(rule.classes, tuple(title for title in rule.destinations if title != OWN), own)
