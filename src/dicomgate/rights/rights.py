"""What one association may do: the sum of the rules that match. Settled once, when it is admitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .rule import OWN, Rule, Who, is_one_of


@dataclass(frozen=True, slots=True)
class Rights:
    """What an association may do. `everything`: all that the PACS allows. `rules` are the names of those that match."""

    everything: bool = False
    classes: frozenset[bytes] = frozenset()
    moves: tuple[tuple[frozenset[bytes], tuple[str, ...] | None], ...] = ()
    rules: tuple[str, ...] = ()

    def grants(self, sop_class: bytes) -> bool:
        """Whether the services of this SOP class may be used."""
        return self.everything or sop_class in self.classes

    def may_move(self, sop_class: bytes, destination: str) -> bool:
        """Whether C-MOVE with this SOP class may name this destination."""
        return self.everything or any(
            sop_class in classes and (titles is None or is_one_of(destination, titles))
            for classes, titles in self.moves
        )


def rights_of(rules: Sequence[Rule], who: Who) -> Rights:
    """The rights of one who was admitted."""
    matching = [rule for rule in rules if not rule.miss(who)]
    return Rights(
        any(rule.everything for rule in matching),
        frozenset().union(*(rule.classes for rule in matching)),
        tuple((rule.classes, _titles(rule, who)) for rule in matching),
        tuple(rule.name for rule in matching),
    )


def _titles(rule: Rule, who: Who) -> tuple[str, ...] | None:
    return (who.calling_ae_title,) if rule.destinations == (OWN,) else rule.destinations
