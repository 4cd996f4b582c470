"""One direction, message by message: a whole message can be dropped (PS3.8 annex E).

Law: the messages of a direction are not interleaved, and a PDU holds fragments of one message only. No byte of a
message passes before its command set is complete and judged. What passes is byte for byte what came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from struct import Struct
from typing import TypeAlias

from ..wire.dimse import LONGEST_COMMAND, has_data_set
from ..wire.items import malformed
from ..wire.pdu import HEADER, LAST_FRAGMENT, OF_COMMAND, PDV, PDV_HEADER, PduType
from ..wire.reject_abort import UNEXPECTED_PDU, PduError
from .pdv_stream import MOST_HEADERS, MOST_HELD, SHORT_PDU, Mark, PdvStream

MOST_ANSWERS = 64
"""So many wait for the end of a message before the other side is not read."""
_WHOLE = OF_COMMAND | LAST_FRAGMENT  # the message control header of a command set in one fragment
_WORTH = 16  # headers that could be looked at while a message is judged
_PDU_AND_PDV = Struct(">BxLLBB")  # as in pdv_stream, and the message control header


Judge: TypeAlias = Callable[[int, bytes], bytes | None]
"""Given a message's presentation context and its command set: None lets it pass; bytes drop it, and are the PDUs that
answer it, b"" for none. Raises PduError for a message that breaks the protocol."""


def _passes(_context: int, _command: bytes) -> None:
    """The judge of a direction whose messages all pass."""


class _Stage(Enum):
    BETWEEN = "no message is under way"
    COMMAND = "fragments of a command set come; none of them has passed"
    DATA = "fragments of a data set come; the message passes or is dropped"


class MessageStream(PdvStream):
    """A direction whose messages are judged one by one.

    `judge` is called in `walk`, as soon as a command set is complete. `walk` stops at the end of a message that was
    dropped, or behind which an answer waits; then `found` is `Mark.END`. While a message is dropped, `skipped` says
    how many bytes from the returned offset on must be passed over. A walk that does not start at 0 goes on in the turn
    of the last one that did: they share `MOST_HEADERS`.
    """

    __slots__ = ("_answer", "_answers", "_command", "_context", "_dropping", "_judge", "_last", "_left", "_scanned",
                 "_stage", "skipped")  # fmt: skip

    def __init__(self, accepted: Collection[int], maximum_length: int, judge: Judge = _passes) -> None:
        super().__init__(accepted, maximum_length)
        self._judge = judge
        self._stage = _Stage.BETWEEN
        self._context = 0
        self._command: bytes | bytearray = b""  # so far
        self._last = False  # the fragment under way is the last one of its command set or data set
        self._scanned = 0  # bytes at the start of what is walked next that were looked at and may not pass yet
        self._left = 0  # headers that may still be looked at in this turn
        self._dropping = False
        self._answer = b""  # to the message that is dropped
        self._answers: tuple[bytes, ...] = ()  # to messages of the other direction, to be sent in this one
        self.skipped = 0

    @property
    def full(self) -> bool:  # type: ignore[override]
        """As in `PdvStream`: a message of its sender may take any time to end."""
        return len(self._answers) >= MOST_ANSWERS

    @property
    def between_messages(self) -> bool:
        """True if the receiver would read the next byte as the start of a message."""
        return self._dropping or self._stage is not _Stage.DATA

    @property
    def between_pdus(self) -> bool:
        """True if the receiver would read the next byte as the start of a PDU."""
        return self.between_messages or super().between_pdus

    def answer(self) -> bytes:
        """The answer to the message that has just ended; b"" if there is none."""
        answer, self._answer = self._answer, b""
        return answer

    def insert(self, *answers: bytes) -> tuple[bytes, ...]:
        """Take PDUs to be sent in this direction; return those that may be sent now, between two of its messages."""
        if self.release_requested or self.released:
            return ()  # PS3.8 7.2: who has asked for a release, or granted it, sends no more data
        self._answers += tuple(filter(None, answers))
        if not self.between_messages:
            return ()
        due, self._answers = self._answers, ()
        return due

    def walk(self, buffer: bytearray | bytes, end: int, other: PdvStream, start: int = 0) -> int:
        """As `PdvStream.walk`, but no further than to the end of a message that something follows from."""
        self.more = False
        if self.aborted is not None:
            return start
        # What passes is sure up to `safe`, the start of a PDU, or of a message that does not pass (yet).
        position, safe = start + self._scanned, start if self._withheld else -1
        headers = self._left if start else MOST_HEADERS
        accepted, greatest = self._accepted, self._greatest - 4
        self._scanned = self.skipped = 0
        try:
            while True:
                if self._in_fragment:
                    position = self._take(buffer, position, end)
                    if self._in_fragment:
                        break
                if self._last:
                    headers -= _WORTH
                    if self._ended(position - safe):
                        self._left = headers
                        return self._found_end(safe, position)
                left = end - position
                if headers <= 0:
                    self.more = left > 0
                    break
                headers -= 1
                if self._in_pdu:
                    if left < PDV_HEADER:
                        break
                    self._enter_fragment(*PDV.unpack_from(buffer, position))
                    position += PDV_HEADER
                    continue
                if not self._dropping and self._stage is not _Stage.COMMAND:
                    safe = position
                if left and (buffer[position] != PduType.P_DATA_TF or self.release_requested or self.released):
                    return self._pass_control(buffer, safe, position, left, other)
                if left <= MOST_HELD:
                    if left >= HEADER.size:
                        self._check_length(HEADER.unpack_from(buffer, position)[1])
                    break
                _, length, pdv_length, context, control = _PDU_AND_PDV.unpack_from(buffer, position)
                if length == pdv_length + 4 and 2 <= pdv_length <= greatest and not pdv_length & 1:
                    # One PDV that fills its PDU, as nearly all do: the same checks as below, without the calls.
                    whole = HEADER.size + length
                    if self._stage is _Stage.DATA and context == self._context and not control & OF_COMMAND:
                        head = buffer[position : position + HEADER.size + PDV_HEADER]
                        position += whole
                        self.pdus += 1
                        self._last = bool(control & LAST_FRAGMENT)
                        while not self._last and headers and buffer.startswith(head, position, end):
                            headers -= 1
                            self.pdus += 1
                            position += whole
                        self.control = control
                        if position > end:
                            self._in_fragment, position = position - end, end
                        continue
                    if control == _WHOLE and self._stage is _Stage.BETWEEN and left >= whole and accepted[context]:
                        self._stage, self._context, self._last = _Stage.COMMAND, context, True
                        self._command = buffer[position + HEADER.size + PDV_HEADER : position + whole]
                        self.control = control
                        self.pdus += 1
                        position += whole
                        continue
                self._enter_pdu(length)
                self._enter_fragment(pdv_length, context, control)
                position += HEADER.size + PDV_HEADER
            self._left = headers
            return self._stop(safe, position)
        except PduError as error:
            self.found = error
            self.boundary = safe >= 0
            return max(safe, start)

    def _take(self, buffer: bytearray | bytes, position: int, end: int) -> int:
        """Look at what there is of the fragment under way; return the offset behind that."""
        taken = min(self._in_fragment, end - position)
        if self._stage is _Stage.COMMAND:
            self._command += buffer[position : position + taken]
        self._in_fragment -= taken
        return position + taken

    def _enter_fragment(self, length: int, context: int, control: int) -> None:
        self._enter_pdv(length, context, control)
        if self._stage is _Stage.BETWEEN:
            if not control & OF_COMMAND:
                raise malformed("a fragment of a data set where a command set must begin")
            self._stage, self._context, self._command = _Stage.COMMAND, context, bytearray()
        elif context != self._context or bool(control & OF_COMMAND) is not (self._stage is _Stage.COMMAND):
            raise malformed(f"a fragment on context {context} that is not of the message under way")
        self._last = bool(control & LAST_FRAGMENT)

    def _ended(self, withheld: int) -> bool:
        """A last fragment has come: judge the command set; True if the message ends, and `walk` must stop.

        `withheld` is the length of all that is withheld, if it is a command set's.
        """
        self._last = False
        if self._stage is _Stage.COMMAND:
            _check_withheld(withheld)
            command, self._command = bytes(self._command), b""
            answer = self._judge(self._context, command)
            if answer is not None:
                self._dropping, self._answer = True, answer
            if has_data_set(command):
                self._stage = _Stage.DATA
                return False
        if self._in_pdu:
            raise malformed("a P-DATA-TF with fragments of two messages")
        self._stage = _Stage.BETWEEN
        return self._dropping or bool(self._answers)

    def _found_end(self, safe: int, position: int) -> int:
        passes = self._stop(safe, position)
        self._dropping, self.found = False, Mark.END
        return passes

    def _pass_control(self, buffer: bytearray | bytes, safe: int, position: int, left: int, other: PdvStream) -> int:
        if self._stage is not _Stage.BETWEEN and buffer[position] in (PduType.RELEASE_RQ, PduType.RELEASE_RP):
            raise PduError("a release inside a message", UNEXPECTED_PDU)
        if not self._control(buffer, position, left, other):
            return self._stop(safe, position)
        return safe if self.aborted is not None else position + SHORT_PDU

    @property
    def _withheld(self) -> bool:
        return self._dropping or self._stage is _Stage.COMMAND

    def _stop(self, safe: int, position: int) -> int:
        """Nothing more can be said before more bytes come; return the offset up to which they pass."""
        if self._dropping:
            if position > safe:
                self.skipped = position - safe
                self.found = Mark.DROPPED
            return safe
        if self._stage is _Stage.COMMAND:
            _check_withheld(position - safe)
            self._scanned = position - safe
            return safe
        return position


def _check_withheld(length: int) -> None:
    if length > LONGEST_COMMAND:  # headers included
        raise malformed(f"a command set whose PDUs have more than {LONGEST_COMMAND} bytes")
