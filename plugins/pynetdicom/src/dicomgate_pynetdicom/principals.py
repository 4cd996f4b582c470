"""Who has logged in on which association: kept from its admission on, read by the handlers of the program.

Rule 1: only an `Admit` puts somebody in; for every other association the answer is None.
Rule 2: an association that pynetdicom drops is forgotten with it. Its credential is not kept at all.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from dicomgate.run.embedding import Admit


@dataclass(frozen=True, slots=True)
class Principal:
    """Who has logged in, as in the audit: `user` as `authenticator` knows it.

    `alice` of one authenticator is not `alice` of another. `expires_at` (aware) is when the credential ends, None if it
    does not. `attributes` are what the authenticator knows besides.
    """

    user: str
    authenticator: str
    groups: frozenset[str]
    attributes: Mapping[str, str]
    expires_at: datetime | None


class Principals:
    """The principals of one binding. pynetdicom has a thread for each association, and any of them may ask."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Any, Principal] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def add(self, association: Any, admit: Admit) -> None:
        """Remember whom `admit` lets in on this association."""
        accept = admit.accept
        attributes = MappingProxyType(dict(accept.attributes))
        principal = Principal(accept.user, admit.authenticator, accept.groups, attributes, accept.expires_at)
        with self._lock:
            self._of[association] = principal

    def of(self, association: Any) -> Principal | None:
        """Who has logged in on this association; None if nobody was admitted."""
        with self._lock:
            return self._of.get(association)
