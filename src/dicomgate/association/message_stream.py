"""One direction, message by message: a whole message can be dropped (PS3.8 annex E).

Law: the messages of a direction are not interleaved, and a PDU holds fragments of one message only. No byte of a
message passes before its command set is complete and judged. What passes is byte for byte what came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum, auto
from struct import Struct
from typing import TypeAlias

from ..wire.items import malformed
from ..wire.pdu import HEADER, PduType
from ..wire.reject_abort import UNEXPECTED_PDU, PduError
from .pdv_stream import LAST_FRAGMENT, MOST_HEADERS, MOST_HELD, PDV_HEADER, SHORT_PDU, Mark, Message, PdvStream

LONGEST_COMMAND = 65_536
"""The most bytes that the PDUs of one command set may have, headers included."""
_PDU_AND_PDV = Struct(">BxLLBB")  # as in pdv_stream, and the message control header
_PDV = Struct(">LBB")
_OF_COMMAND = 1  # PS3.8 annex E.2: a bit of the message control header
_ELEMENT = Struct("<HHL")  # implicit VR, little endian (PS3.7 6.3.1)
_US = Struct("<H")
_DATA_SET_TYPE, _NO_DATA_SET = (0x0000, 0x0800), 0x0101  # PS3.7 E.1


Judge: TypeAlias = Callable[[Message], bytes | None]


class _Stage(Enum):
    BETWEEN = auto()
    """No message is under way."""
    COMMAND = auto()
    """Fragments of a command set come. None of them has passed."""
    DATA = auto()
    """Fragments of a data set come; the message passes or is dropped."""
    DONE = auto()
    """The last fragment of the message has come."""


class MessageStream(PdvStream):
    """A direction whose messages are judged one by one.

    `judge` is given each message: None lets it pass, bytes drop it and are the PDU that answers it, b"" for none.
    `walk` stops where a command set is complete, and `found` is a `Message`: have it judged by `decide`, and walk on
    from the returned offset. It stops again at the end of the message, and `found` is `Mark.END`. While a message is
    dropped, `skipped` says how many bytes from the returned offset on must be passed over.
    """

    __slots__ = ("_answer", "_answers", "_command", "_context", "_dropping", "_judge", "_last", "_scanned", "_stage",
                 "skipped")  # fmt: skip

    def __init__(self, accepted: Collection[int], maximum_length: int, judge: Judge) -> None:
        super().__init__(accepted, maximum_length)
        self._judge = judge
        self._stage = _Stage.BETWEEN
        self._context = 0
        self._command = bytearray()
        self._last = False  # the fragment under way is the last one of its command set or data set
        self._scanned = 0  # bytes at the start of what is walked next that were looked at and may not pass yet
        self._dropping = False
        self._answer = b""  # to the message that is dropped
        self._answers: list[bytes] = []  # to messages of the other direction, to be sent in this one
        self.skipped = 0

    @property
    def between_messages(self) -> bool:
        """True if the receiver would read the next byte as the start of a message."""
        return self._withheld or self._stage is _Stage.BETWEEN

    @property
    def between_pdus(self) -> bool:
        """True if the receiver would read the next byte as the start of a PDU."""
        return self.between_messages or super().between_pdus

    def decide(self, message: Message) -> None:
        """Let the message that was found pass, or drop it."""
        answer = self._judge(message)
        if answer is not None:
            self._dropping, self._answer = True, answer

    def answer(self) -> bytes:
        """The answer to the message that has just ended; b"" if there is none."""
        answer, self._answer = self._answer, b""
        return answer

    def insert(self, *answers: bytes) -> list[bytes]:
        """Take PDUs to be sent in this direction; return those that may be sent now, between two of its messages."""
        self._answers += filter(None, answers)
        if not self.between_messages:
            return []
        due, self._answers = self._answers, []
        return due

    def walk(self, buffer: bytearray | bytes, end: int, other: PdvStream, start: int = 0) -> int:
        """As `PdvStream.walk`, but no further than to the next command set or the end of a message."""
        self.more = False
        if self.aborted is not None:
            return start
        position, safe = start + self._scanned, -1
        self._scanned = self.skipped = 0
        try:
            for _ in range(MOST_HEADERS):
                position += self._take(buffer, position, end)
                if self._in_fragment:
                    return self._stop(start, position)
                if self._last:
                    self._last = False
                    if self._stage is _Stage.COMMAND:
                        return self._found_message(start, position)
                    self._stage = _Stage.DONE
                if self._stage is _Stage.DONE:
                    return self._found_end(start, position)
                left = end - position
                if self._in_pdu:
                    if left < PDV_HEADER:
                        return self._stop(start, position)
                    self._enter_fragment(*_PDV.unpack_from(buffer, position))
                    position += PDV_HEADER
                    continue
                safe = position
                if left and (buffer[position] != PduType.P_DATA_TF or self.release_requested or self.released):
                    return self._pass_control(buffer, start, position, left, other)
                if left <= MOST_HELD:
                    if left >= HEADER.size:
                        self._check_length(HEADER.unpack_from(buffer, position)[1])
                    return self._stop(start, position)
                _, length, *pdv = _PDU_AND_PDV.unpack_from(buffer, position)
                self._enter_pdu(length)
                self._enter_fragment(*pdv)
                position += HEADER.size + PDV_HEADER
            self.more = position < end
            return self._stop(start, position)
        except PduError as error:
            self.found = error
            self.boundary = self.between_messages or safe >= 0
            return start if self.between_messages else max(safe, start)

    def _take(self, buffer: bytearray | bytes, position: int, end: int) -> int:
        """Look at what there is of the fragment under way; return how much that is."""
        taken = min(self._in_fragment, end - position)
        if self._stage is _Stage.COMMAND:
            self._command += buffer[position : position + taken]
        self._in_fragment -= taken
        return taken

    def _enter_fragment(self, length: int, context: int, control: int) -> None:
        self._enter_pdv(length, context, control)
        if self._stage is _Stage.BETWEEN:
            if not control & _OF_COMMAND:
                raise malformed("a fragment of a data set where a command set must begin")
            self._stage, self._context, self._command = _Stage.COMMAND, context, bytearray()
        elif context != self._context or bool(control & _OF_COMMAND) is not (self._stage is _Stage.COMMAND):
            raise malformed(f"a fragment on context {context} that is not of the message under way")
        self._last = bool(control & LAST_FRAGMENT)

    def _found_message(self, start: int, position: int) -> int:
        self._withhold(position - start)
        command, self._command = bytes(self._command), bytearray()
        self._stage = _Stage.DATA if _has_data_set(command) else _Stage.DONE
        self.found = Message(self._context, command)
        return start

    def _found_end(self, start: int, position: int) -> int:
        if self._in_pdu:
            raise malformed("a P-DATA-TF with fragments of two messages")
        position = self._stop(start, position)
        self._stage, self._dropping = _Stage.BETWEEN, False
        self.found = Mark.END
        return position

    def _pass_control(self, buffer: bytearray | bytes, start: int, position: int, left: int, other: PdvStream) -> int:
        if self._stage is not _Stage.BETWEEN and buffer[position] in (PduType.RELEASE_RQ, PduType.RELEASE_RP):
            raise PduError("a release inside a message", UNEXPECTED_PDU)
        if not self._control(buffer, position, left, other):
            return self._stop(start, position)
        if self.aborted is not None:
            return start if self._withheld else position
        return position + SHORT_PDU

    @property
    def _withheld(self) -> bool:
        return self._dropping or self._stage is _Stage.COMMAND

    def _withhold(self, length: int) -> None:
        if length > LONGEST_COMMAND:
            raise malformed(f"a command set whose PDUs have more than {LONGEST_COMMAND} bytes")
        self._scanned = length

    def _stop(self, start: int, position: int) -> int:
        """Nothing more can be said before more bytes come; return the offset up to which they pass."""
        if self._stage is _Stage.COMMAND:
            self._withhold(position - start)
            return start
        if not self._dropping:
            return position
        if position > start:
            self.skipped = position - start
            self.found = Mark.DROPPED
        return start


def _has_data_set(command: bytes) -> bool:
    """Whether a data set follows. Raises PduError if the command set does not say."""
    position = 0
    while position + _ELEMENT.size <= len(command):
        group, element, length = _ELEMENT.unpack_from(command, position)
        position += _ELEMENT.size
        if (group, element) == _DATA_SET_TYPE and length == _US.size <= len(command) - position:
            data_set_type: int = _US.unpack_from(command, position)[0]
            return data_set_type != _NO_DATA_SET
        position += length
    raise malformed("a command set without a Command Data Set Type")
