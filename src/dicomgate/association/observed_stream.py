"""One direction of which everything lawful passes, and whose messages are judged for the record alone.

It is what `rules = "report"` means for commands. Law: what passes, and what is a violation, are a `PdvStream`'s. The
messages are observed in bytes that have passed already; whatever is found in them, and whatever goes wrong there, at
most the observation ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from ..rights.operations import Denial
from ..wire.reject_abort import PduError
from .message_stream import Judge, MessageStream
from .pdv_stream import PdvStream

_log = logging.getLogger("dicomgate.association")


class ObservedStream(PdvStream):
    """A `PdvStream` whose messages `observer` is shown; it must let all of them pass.

    `broken` is called with the reason if the messages of either direction break a law that only a `MessageStream` has.
    Nothing is observed from then on, in both directions.
    """

    __slots__ = ("_broken", "_observer", "_unseen")

    def __init__(
        self, accepted: Collection[int], maximum_length: int, observer: MessageStream, broken: Callable[[str], None]
    ) -> None:
        super().__init__(accepted, maximum_length)
        self._observer: MessageStream | None = observer
        self._broken = broken
        self._unseen = b""  # what has passed, and the observer will look at with what comes next

    def walk(self, buffer: bytearray | bytes, end: int, other: PdvStream, start: int = 0) -> int:
        """As `PdvStream.walk`; `more` is true also if there was no time to observe all that passes."""
        passed = super().walk(buffer, end, other, start)
        if self._observer is not None:
            try:
                self._observe(self._observer, buffer, start, passed, other)
            except Exception:  # noqa: BLE001
                _log.exception("a defect of the gateway: an association is no longer observed")
                self._observe_no_longer(other)
        return passed

    def _observe(
        self, observer: MessageStream, buffer: bytearray | bytes, start: int, end: int, other: PdvStream
    ) -> None:
        if self._unseen:
            buffer = self._unseen + buffer[start:end]
            start, end = 0, len(buffer)
        while True:
            start = observer.walk(buffer, end, other, start)
            found, observer.found = observer.found, None
            if isinstance(found, PduError):
                self._observe_no_longer(other)
                self._broken(str(found))
                return
            if found is None or start == end:
                break
        self._unseen = bytes(buffer[start:end])
        self.more = self.more or observer.more

    def _observe_no_longer(self, other: PdvStream) -> None:
        for stream in (self, other):
            if isinstance(stream, ObservedStream):
                stream._observer, stream._unseen = None, b""


def observed(
    accepted: Collection[int], lengths: tuple[int, int], judge: Judge, denied: Callable[[Denial], None]
) -> tuple[ObservedStream, ObservedStream]:
    """Both directions of an association, the client's first; `lengths` are the maximum lengths of their receivers.

    `judge` is given the client's messages, without effect on them. `denied` is told what would have been an A-ABORT.
    """

    def without_effect(context: int, command: bytes) -> None:
        judge(context, command)

    def broken(reason: str) -> None:
        denied(Denial("", reason, ""))

    observers = MessageStream(accepted, lengths[0], without_effect), MessageStream(accepted, lengths[1])
    client, upstream = (
        ObservedStream(accepted, length, observer, broken) for length, observer in zip(lengths, observers, strict=True)
    )
    return client, upstream
