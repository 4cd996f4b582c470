"""Gateways that have the same name by mistake: they are told apart, and the log says so."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ..state.cluster import Member

_log = logging.getLogger("dicomgate.sessions")
_WARNING = "another gateway calls itself %s, too, and may be taken for this one: give each its own `node` in [gateway]"
_DIGITS = 6


class Namesakes:
    """Looks for others with the name of this gateway."""

    def __init__(self, me: Member) -> None:
        self._me = me
        self._known: dict[Member, float] = {}
        self._warned = False

    def look(self, members: Mapping[Member, float]) -> None:
        """Warn once if one is there. A run that was killed renews its lease no more: it is none."""
        others = {one: ends for one, ends in members.items() if one.name == self._me.name and one != self._me}
        if not self._warned and any(self._known.get(one, ends) != ends for one, ends in others.items()):
            self._warned = True
            _log.warning(_WARNING, self._me.name)
        self._known = others


def names_of(members: Sequence[Member]) -> dict[Member, str]:
    """What to call them: by their names; where several have the same, with a part of the id of their run."""
    names = [member.name for member in members]
    return {
        member: f"{member.name}#{member.run[:_DIGITS]}" if names.count(member.name) > 1 else member.name
        for member in members
    }
