"""Commands: which messages of a client may reach the PACS over one association.

Rule 1: a message names a command and a SOP class of its presentation context's service, or it breaks the law (A-ABORT
        2,6): a PACS may choose what it does from the command alone.
Rule 2: a request that is not granted is answered here with 0124H. The PACS sees nothing of it, nor a C-CANCEL of it.
Rule 3: what is remembered is bounded, whatever the client sends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..wire.dimse import CommandField, CommandSet, refused_response
from ..wire.items import malformed
from .rights import Rights
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


class Operations:
    """The messages of one client over one association.

    `contexts` are the SOP classes of the accepted presentation contexts by their ids, `maximum_length` is the client's,
    in bytes. The callable `denied` is told of the first refusal of each kind. The attributes `used` and `denied` count
    requests by what they need, such as "store" or "move WS_1".
    """

    __slots__ = ("_calling_ae_title", "_contexts", "_denied", "_maximum_length", "_rights", "_swallowed", "denied",
                 "used")  # fmt: skip

    def __init__(
        self,
        rights: Rights,
        contexts: Mapping[int, bytes],
        maximum_length: int,
        calling_ae_title: str,
        denied: Callable[[Denial], None],
    ) -> None:
        self._rights = rights
        self._contexts = contexts
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
        sop_class = self._contexts[context]
        if message.command is _CANCEL:
            return self._cancel(message, context, sop_class)
        # A client asks as an SCU and answers as an SCP, or, with roles selected, also the other way round (PS3.7
        # D.3.3.4); N-EVENT-REPORT goes from SCP to SCU. So what may be asked on a context by either side may be
        # answered there by either: a C-STORE-RSP on a storage context, for C-GET, an N-EVENT-REPORT-RSP where the
        # service has reports. A response grants nothing: it has no Message ID, and no PACS takes it for a request.
        named = message.sop_class or sop_class
        if message.command not in requests_of(sop_class) or not _belongs(named, sop_class, message.command):
            raise malformed(f"{message} with {named.decode()} on context {context} of {sop_class.decode()}")
        if message.response:
            return None
        return self._request(message, context, sop_class, named)

    def _request(self, message: CommandSet, context: int, sop_class: bytes, named: bytes) -> bytes | None:
        rights, destination = self._rights, message.destination
        classes = (sop_class,) if named == sop_class or named in named_on(sop_class) else (sop_class, named)
        lacking = next((uid for uid in classes if not rights.grants(uid)), b"")
        word = word_of(lacking or sop_class)
        kind = f"{word} {destination}" if message.command is _MOVE else word
        granted = not lacking
        missing = f'allow "{word}"'
        if message.command is _MOVE:
            granted = granted and all(rights.may_move(uid, destination) for uid in classes)
            missing += f' with destinations "{"own" if destination == self._calling_ae_title else destination}"'
        if granted:
            self._swallow(message.message_id, swallowed=False)
            _count(self.used, kind)
            return None
        answered = message.command in (_STORE, _MOVE)
        if not answered and lacking != sop_class:
            # PS3.7 annex C: there is no "Refused: Not authorized" for C-FIND and others.
            raise malformed(f"{message} with {named.decode()}, which no rule grants, on context {context}")
        self._swallow(message.message_id, swallowed=True)
        if _count(self.denied, kind):
            self._denied(Denial(word, str(message), missing))
        return refused_response(message, context, self._maximum_length) if answered else b""

    def _cancel(self, message: CommandSet, context: int, sop_class: bytes) -> bytes | None:
        if requests_of(sop_class).isdisjoint(_CANCELLED) or message.sop_class not in (b"", sop_class):
            raise malformed(f"{message} on context {context} of {sop_class.decode()}")
        byte, bit = divmod(message.message_id, 8)
        return b"" if self._swallowed is not None and self._swallowed[byte] >> bit & 1 else None

    def _swallow(self, message_id: int, *, swallowed: bool) -> None:
        """From now on, drop a C-CANCEL of this Message ID, or let it pass."""
        if self._swallowed is None:
            if not swallowed:
                return
            self._swallowed = bytearray(0x10000 // 8)
        byte, bit = divmod(message_id, 8)
        self._swallowed[byte] = self._swallowed[byte] & ~(1 << bit) | swallowed << bit


def _belongs(named: bytes, sop_class: bytes, command: CommandField) -> bool:
    """Whether a message on a context of `sop_class` may name this SOP class."""
    if named == sop_class or named in named_on(sop_class):
        return True
    same = SERVICE_OF.get(named, _STORAGE) is SERVICE_OF.get(sop_class, _STORAGE)
    return same and command in requests_of(named)


def _count(counts: dict[str, int], kind: str) -> bool:
    """Count one of this kind; return whether it is the first."""
    if kind not in counts and len(counts) >= MOST_KINDS:
        kind = OTHER
    counts[kind] = counts.get(kind, 0) + 1
    return counts[kind] == 1
