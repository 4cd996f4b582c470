"""What counts as delivered, what of a flood is told, what a record is wrapped in, and who waits for whom."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomgate.audit.connection import ENDED, Collector, Connection
from dicomgate.audit.floods import MINUTE, Floods
from dicomgate.audit.messages import Message
from dicomgate.audit.sinks import Sinks
from dicomgate.audit.syslog import LAST_SEQUENCE_ID, Envelope, framed
from dicomgate.audit.tail import GRACE, KEPT, KEPT_FOR, WINDOW, Tail, Unread
from dicomgate.events.backlog import Done
from dicomgate.events.events import Event, ReasonClass
from dicomgate.events.moments import utc
from dicomgate.net.tls_context import client_context
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST
from tests.events.examples import ACCEPTED, NOW, REFUSED


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.1, 3.0)), max_size=60))
def test_nothing_counts_as_delivered_before_its_grace_has_passed(
    steps: list[tuple[int, float]],
) -> None:
    tail, now, position = Tail[int](), 0.0, 0
    taken: dict[int, float] = {}  # when TCP had acknowledged all up to here
    delivered = 0
    for what, seconds in steps:
        now += seconds
        if what == 0:
            position += 1
            tail.sent(position, 10)
        else:
            queued = 0 if what == 1 else 10
            if not queued:
                for number in range(1, position + 1):
                    taken.setdefault(number, now)
            found = tail.looked(queued, now)
            if found is not None:
                assert found > delivered
                assert all(now - taken[number] >= GRACE for number in range(1, found + 1))
                delivered = found
    for _ in range(3):
        now += GRACE + 0.1
        delivered = tail.looked(0, now) or delivered
    assert (delivered, tail.waits) == (position, False)


def test_no_more_than_a_window_is_sent_ahead() -> None:
    tail = Tail[int]()
    tail.sent(1, WINDOW)
    assert not tail.may_send
    tail.looked(1, 0.0)
    assert not tail.may_send
    tail.looked(0, 0.0)
    assert tail.may_send


def test_a_flood_is_told_once_and_counted() -> None:
    floods, malformed = Floods(), REFUSED._replace(reason_class=ReasonClass.MALFORMED)
    elsewhere = malformed._replace(facts=malformed.facts._replace(address="192.0.2.99"))
    assert [floods.passes(malformed, 0.0) for _ in range(5)] == [True, *[False] * 4]
    assert floods.passes(elsewhere, 1.0)
    assert [floods.passes(REFUSED, 2.0) for _ in range(3)] == [True] * 3, "each wrong credential is told"
    assert not [*floods.due(MINUTE - 1)]
    assert [(event, more) for event, more in floods.due(MINUTE)] == [(malformed, 3)]
    assert floods.passes(malformed, MINUTE + 1)


def test_more_kinds_than_can_be_told_apart_are_counted_together() -> None:
    floods = Floods()
    for number in range(1_500):
        floods.passes(REFUSED._replace(facts=REFUSED.facts._replace(claimed=f"u{number}"),
                                       reason_class=ReasonClass.THROTTLED), 0.0)  # fmt: skip
    assert [more for _, more in floods.due(0.0, at_the_end=True)] == [498]


def test_the_envelope_is_that_of_rfc_5424() -> None:
    told = Message(NOW.timestamp(), utc(NOW), True, "<x/>")
    message = Envelope("gate 1", "IHE+RFC-3881", mark=True).around(told, 7)
    head, _, content = message.partition(b"] ")
    assert head.startswith(b"<84>1 2026-01-02T03:04:05.678Z gate_1 dicomgate ")
    assert head.endswith(b' IHE+RFC-3881 [meta sequenceId="7"')
    assert content == b"\xef\xbb\xbf<x/>"
    assert framed(b"abc") == b"3 abc"
    plain = Envelope("gate", "x", mark=False).around(told._replace(failure=False), LAST_SEQUENCE_ID + 1)
    # RFC 5424 7.3.1: after the last one comes 1
    assert plain.startswith(b"<85>1 ")
    assert plain.endswith(b'[meta sequenceId="1"] <x/>')


class FakeSink:
    """Answers when the test says so."""

    label = name = "fake"
    trouble = problem = ""
    records = lost = 0
    spool = None

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.waiting: list[Done] = []

    def __call__(self, event: Event) -> None:
        self.told.append(event)

    def keep(self, event: Event, done: Done) -> None:
        self.told.append(event)
        self.waiting.append(done)

    def begin(self) -> None: ...

    def operated(self, _: object) -> None: ...

    def flush(self, _: float = 0) -> None: ...

    def close(self, _: float = 0) -> None: ...

    def goes_on_in(self, successor: object) -> bool:
        return successor is self


@pytest.mark.parametrize("answers", [("", ""), ("full", ""), ("", "full"), ("full", "full")])
def test_a_login_waits_for_all_sinks_that_are_required_and_no_other(answers: tuple[str, str]) -> None:
    first, second, optional = FakeSink(), FakeSink(), FakeSink()
    heard: SimpleQueue[str] = SimpleQueue()
    Sinks([first, optional, second], [first, second]).keep(ACCEPTED, heard.put)
    assert [sink.told for sink in (first, second, optional)] == [[ACCEPTED]] * 3
    for sink, answer in zip((first, second), answers, strict=True):
        sink.waiting[0](answer)
    assert heard.get_nowait() == max(answers)
    assert heard.empty()


def test_the_trouble_of_a_sink_that_is_not_required_refuses_nobody() -> None:
    required, optional = FakeSink(), FakeSink()
    optional.trouble = "full"
    assert Sinks([required, optional], [required]).trouble == ""
    required.trouble = "full"
    assert Sinks([required, optional], [required]).trouble == "fake: full"


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 200), st.integers(1, KEPT // 3)), max_size=60))
def test_all_that_a_collector_may_not_have_read_is_known(steps: list[tuple[bool, float, int]]) -> None:
    unread, now, position, sent = Unread(0), 0.0, 0, 0
    delivered: list[tuple[int, float, int]] = []
    for is_delivered, seconds, size in steps:
        now += seconds
        position, sent = position + 1, sent + size
        unread.sent(size)
        if is_delivered:
            unread.delivered(position, now)
            delivered.append((position, now, sent))
        since = unread.since(now)
        old = {number for number, at, size in delivered if now - at > KEPT_FOR or sent - size > KEPT}
        assert since == max(old, default=0), "ten minutes ago, or further back than a host keeps"
        assert unread.last == max((number for number, *_ in delivered), default=0)


def test_an_orderly_end_of_a_collector_is_told_from_a_reset(certificates: Certificates) -> None:
    """Python's ssl takes both for an end: a process that is killed with unread data has its connection reset."""
    context, linger = certificates.server_context(), struct.pack("ii", 1, 0)

    def end(reset: bool) -> None:
        accepted, _ = listening.accept()
        with context.wrap_socket(accepted, server_side=True) as tls:
            tls.recv(1)
            if reset:
                tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with socket.create_server((HOST, 0)) as listening:
        collector = Collector(HOST, listening.getsockname()[1], HOST, client_context(certificates.ca, pinned=False))
        for reset in (False, True):
            ending = threading.Thread(target=end, args=(reset,))
            ending.start()
            connection = Connection(collector)
            connection.send(b"x")
            ending.join()
            with pytest.raises(OSError, match=r"ended|reset") as ended:
                connection.check()
            connection.close()
            assert ended.value.errno == (errno.ECONNRESET if reset else ENDED)
