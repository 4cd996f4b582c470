"""Commands: which messages of a client may reach the PACS over one association.

Rule 1: a message names a command and a SOP class of its presentation context's service, or it breaks the law (A-ABORT
        2,6): a PACS may choose what it does from the command alone.
Rule 2: a request that is not granted is answered here with 0124H. The PACS sees nothing of it, nor a C-CANCEL of it.
Rule 3: what is remembered is bounded, whatever the client sends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from ..wire.dimse import CommandField, CommandSet, refused_response
from ..wire.items import malformed
from .rights import Rights
from .rule import OWN
from .services import SERVICE_OF, SERVICES, named_on, requests_of, word_of

MOST_KINDS = 64
"""So many kinds of requests are counted each by itself; all further ones as `OTHER`."""
OTHER = "other"

_STORE, _MOVE, _CANCEL = CommandField.C_STORE_RQ, CommandField.C_MOVE_RQ, CommandField.C_CANCEL_RQ
_CANCELLED = frozenset({CommandField.C_FIND_RQ, CommandField.C_GET_RQ, _MOVE})  # PS3.7 9.3.2.3, 9.3.3.3, 9.3.4.3
_STORAGE = SERVICES["store"]  # what a SOP class that the standard does not know is taken for


class Denial(NamedTuple):
    """A request that no rule grants: the word of its service, what was asked, and the grant that a rule would need."""

    service: str
    operation: str
    missing: str


def grant(service: str, destination: str = "") -> str:
    """What a rule says that allows this, as in the file; JSON's quotes are TOML's."""
    return f'allow = "{service}"' + (f", destinations = {json.dumps(destination)}" if destination else "")


def _grant_of(service: str, destination: str, own: str) -> str:
    """What would allow a C-MOVE to this destination, and to no other."""
    if destination == own:
        return grant(service, OWN)
    if destination == OWN or "*" in destination:  # which a client may call it, so that somebody writes it into a rule
        return f"another destination: in a rule {json.dumps(destination)} means others"
    return grant(service, destination)


class _Context(NamedTuple):
    """What is known of a presentation context: its SOP class, that class's service, and whether a rule grants it."""

    sop_class: bytes
    word: str
    requests: frozenset[CommandField]
    granted: bool


@lru_cache(64)
def _known(contexts: tuple[tuple[int, bytes], ...], everything: bool, granted: frozenset[bytes]) -> dict[int, _Context]:
    """What is known of each context; shared by all associations that have the same ones and may do the same."""
    return {
        context: _Context(sop_class, word_of(sop_class), requests_of(sop_class), everything or sop_class in granted)
        for context, sop_class in contexts
    }


class Operations:
    """The messages of one client over one association.

    `contexts` are the SOP classes of the accepted presentation contexts by their ids, `maximum_length` is the client's,
    in bytes. The callable `denied` is told of the first refusal of each kind. The attributes `used` and `denied` count
    requests by what they need, such as "store" or "move WS_1".
    """

    __slots__ = ("_calling_ae_title", "_contexts", "_denied", "_maximum_length", "_swallowed", "denied", "rights",
                 "used")  # fmt: skip

    def __init__(
        self,
        rights: Rights,
        contexts: Mapping[int, bytes],
        maximum_length: int,
        calling_ae_title: str,
        denied: Callable[[Denial], None],
    ) -> None:
        self.rights = rights
        self._contexts = _known(tuple(contexts.items()), rights.everything, rights.classes)
        self._maximum_length = maximum_length
        self._calling_ae_title = calling_ae_title
        self._denied = denied
        self._swallowed: bytearray | None = None  # a bit for each Message ID: its last request was refused
        self.used: dict[str, int] = {}
        self.denied: dict[str, int] = {}

    def judge(self, context: int, command: bytes) -> bytes | None:
        """What becomes of a message with this command set on this accepted presentation context.

        None: it passes. Bytes: it is dropped, and the client is sent these PDUs; b"" for none. Raises PduError for what
        breaks the law.
        """
        message = CommandSet.parse(command)
        known = self._contexts[context]
        if message.command is _CANCEL:
            return self._cancel(message, context, known)
        sop_class = known.sop_class
        named = message.sop_class or sop_class
        # A client asks as an SCU and answers as an SCP, or, with roles selected, also the other way round (PS3.7
        # D.3.3.4); N-EVENT-REPORT goes from SCP to SCU. So what may be asked on a context by either side may be
        # answered there by either: a C-STORE-RSP on a storage context, for C-GET, an N-EVENT-REPORT-RSP where the
        # service has reports. A response grants nothing: it has no Message ID, and no PACS takes it for a request.
        if message.command not in known.requests or not (
            named == sop_class or _belongs(named, sop_class, message.command)
        ):
            raise malformed(f"{message} with {named.decode()} on context {context} of {sop_class.decode()}")
        if message.response:
            return None
        if message.command is _MOVE or named != sop_class or not known.granted:
            return self._judge_closely(message, context, known, named)
        self._pass(message, known.word)
        return None

    def _judge_closely(self, message: CommandSet, context: int, known: _Context, named: bytes) -> bytes | None:
        """As `judge`, of a request that needs more than the grant of its context, or lacks that."""
        rights, destination = self.rights, message.destination
        classes = {known.sop_class, named} - named_on(known.sop_class)
        granted = known.granted and all(map(rights.grants, classes))
        word = known.word if granted or not known.granted else word_of(named)
        kind, missing = word, grant(word)
        if message.command is _MOVE:
            kind = f"{word} {destination}"
            granted = granted and all(rights.may_move(sop_class, destination) for sop_class in classes)
            missing = _grant_of(word, destination, self._calling_ae_title)
        if granted:
            self._pass(message, kind)
            return None
        answered = message.command in (_STORE, _MOVE)
        if known.granted and not answered:
            # PS3.7 annex C: there is no "Refused: Not authorized" for C-FIND and others.
            raise malformed(f"{message} with {named.decode()}, which no rule grants, on context {context}")
        self._swallow(message.message_id, swallowed=True)
        if _count(self.denied, kind):
            self._denied(Denial(word, str(message), missing))
        return refused_response(message, context, self._maximum_length) if answered else b""

    def _pass(self, message: CommandSet, kind: str) -> None:
        if self._swallowed is not None:
            self._swallow(message.message_id, swallowed=False)
        _count(self.used, kind)

    def _cancel(self, message: CommandSet, context: int, known: _Context) -> bytes | None:
        if known.requests.isdisjoint(_CANCELLED) or message.sop_class not in (b"", known.sop_class):
            raise malformed(f"{message} on context {context} of {known.sop_class.decode()}")
        byte, bit = divmod(message.message_id, 8)
        return b"" if self._swallowed is not None and self._swallowed[byte] >> bit & 1 else None

    def _swallow(self, message_id: int, *, swallowed: bool) -> None:
        """From now on, drop a C-CANCEL of this Message ID, or let it pass."""
        if self._swallowed is None:
            self._swallowed = bytearray(0x10000 // 8)
        byte, bit = divmod(message_id, 8)
        self._swallowed[byte] = self._swallowed[byte] & ~(1 << bit) | swallowed << bit


def _belongs(named: bytes, sop_class: bytes, command: CommandField) -> bool:
    """Whether a message on a context of `sop_class` may name this other SOP class."""
    if named in named_on(sop_class):
        return True
    same = SERVICE_OF.get(named, _STORAGE) is SERVICE_OF.get(sop_class, _STORAGE)
    return same and command in requests_of(named)


def _count(counts: dict[str, int], kind: str) -> bool:
    """Count one of this kind; return whether it is the first."""
    count = counts.get(kind, 0)
    if not count and len(counts) >= MOST_KINDS:
        kind = OTHER
        count = counts.get(kind, 0)
    counts[kind] = count + 1
    return not count
