"""Whatever the PACS does wrong, the client gets an A-ASSOCIATE-RJ or an A-ABORT, and no AC before the PACS's.

Each fault stands beside the PACS that does right (test_a_pacs_without_fault).
"""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from dicomgate.testing.evidence import ALICE
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.loopback import HOST, Address, free_port
from dicomgate.testing.peers.silence import Names, silent
from dicomgate.testing.peers.spy import Answer, Spy, abort, accept_all, reject, with_server_response
from dicomgate.testing.raw_client import (
    ABORT,
    CONGESTION,
    EMPTY_RESPONSE,
    RELEASE_RP,
    RELEASE_RQ,
    RawClient,
    log_in,
    login,
    p_data,
    request,
)
from dicomgate.testing.system_gateway import StartGateway, configuration

__all__ = ["names"]

ALICE_LOGS_IN = request(login("alice", ALICE))
INVALID_PARAMETER = abort(2, 6)
BROKE = "the upstream broke the protocol"
Conversation = Callable[["Accepted"], object]


class Accepted(RawClient):
    """The PACS's end of a connection; it reads and writes bytes as a raw client does."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.settimeout(20)
        self.socket = accepted

    def accept(self) -> None:
        """Read the A-ASSOCIATE-RQ, accept it."""
        self.send(accept_all(self.pdu()))

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextmanager
def pacs(*conversations: Conversation, host: str = HOST) -> Iterator[Address]:
    """Listen, and hold one conversation after the other, each with one connection.

    What goes wrong in a conversation is raised at the end of the block.
    """
    wrong: list[BaseException] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(20)

        def serve() -> None:
            try:
                for conversation in conversations:
                    with Accepted(listener.accept()[0]) as connection:
                        conversation(connection)
            except BaseException as error:  # noqa: BLE001
                wrong.append(error)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[:2]
        finally:
            thread.join()
    if wrong:
        raise wrong[0]


def end_of(connection: Accepted) -> None:
    """Read to the end of the stream, in whatever way it comes."""
    with suppress(ConnectionResetError):
        while connection.receive(65536):
            pass


def says(*data: bytes) -> Conversation:
    return lambda connection: connection.send(*data)


def hears(pdu: bytes) -> Conversation:
    def hear(connection: Accepted) -> None:
        assert connection.pdu() == pdu

    return hear


def in_turn(*steps: Conversation) -> Conversation:
    def conversation(connection: Accepted) -> None:
        for step in steps:
            step(connection)

    return conversation


release = in_turn(Accepted.accept, hears(RELEASE_RQ), says(RELEASE_RP), hears(b""))


class TestBeforeItsAnswer:
    """The client is still waiting for an A-ASSOCIATE-AC, and gets A-ASSOCIATE-RJ 2,3,1 unless the PACS says its own."""

    def check(
        self, gateway: StartGateway, address: Address, reason: str, answer: bytes = CONGESTION, timeout: str = "20s"
    ) -> None:
        running = gateway(configuration(address, upstream={"timeout": timeout}))
        with RawClient(running.address) as client:
            assert client.ask(ALICE_LOGS_IN) == answer
            [refused] = running.wait_for("Refused")
            assert reason in refused["reason"]
            assert refused["id"] in running.log()
            assert not running.told("Closed")  # PS3.8 table 9-10, Sta13: it is the client's to close
        running.wait_for("Closed", cause="refused")
        assert not running.told("Established")

    def test_nobody_listens(self, gateway: StartGateway) -> None:
        self.check(gateway, (HOST, free_port()), "Connection refused")

    def test_its_name_does_not_resolve(self, gateway: StartGateway, names: Names, spy: Spy) -> None:
        """The gateway starts, and looks the name up for the next client."""
        names.addresses["pacs.invalid"] = []
        running = gateway(configuration(("pacs.invalid", spy.address[1])))
        with RawClient(running.address) as client:
            assert client.ask(ALICE_LOGS_IN) == CONGESTION
        [refused] = running.wait_for("Refused")
        assert "the host name pacs.invalid does not resolve" in refused["reason"]
        names.addresses["pacs.invalid"] = [HOST]
        assert log_in(running.address, [login("alice", ALICE)])[0] == 2

    def test_the_connection_is_never_made(self, gateway: StartGateway) -> None:
        with silent(HOST) as (host, port):
            reason = f"not connected within 0.3 s: {host}:{port}: no answer within 0."
            self.check(gateway, (host, port), reason, timeout="300ms")

    def test_one_of_its_addresses_is_silent(self, gateway: StartGateway, names: Names, spy: Spy) -> None:
        """It holds up nobody: the address that answers gets every association, the first one included."""
        with silent("127.0.0.2", spy.address[1]):
            names.addresses["pacs.test"] = ["127.0.0.2", HOST]
            running = gateway(configuration(("pacs.test", spy.address[1])))
            for _ in range(2):
                assert log_in(running.address, [login("alice", ALICE)])[0] == 2
        assert running.log().count(f"127.0.0.2:{spy.address[1]}: no answer within 0.") == 1

    def test_one_of_its_addresses_takes_connections_and_says_nothing(
        self, gateway: StartGateway, names: Names, spy: Spy
    ) -> None:
        """One client is refused, and the next gets through to the other address."""
        with socket.create_server(("127.0.0.2", spy.address[1])):
            names.addresses["pacs.test"] = ["127.0.0.2", HOST]
            running = gateway(configuration(("pacs.test", spy.address[1]), upstream={"timeout": "1s"}))
            assert log_in(running.address, [login("alice", ALICE)]) == CONGESTION
            assert log_in(running.address, [login("alice", ALICE)])[0] == 2
        assert f"not answered within 1 s: 127.0.0.2:{spy.address[1]}" in running.log()

    @pytest.mark.parametrize(
        ("steps", "reason", "timeout"),
        [
            ([hears(ABORT), end_of], "not answered within 0.3 s", "300ms"),
            ([Accepted.reset], "Connection reset by peer", "20s"),
            ([Accepted.half_close, end_of], "ended before its A-ASSOCIATE-AC", "20s"),
            ([says(b"\2\0\0\0"), Accepted.half_close, end_of], "ended before its A-ASSOCIATE-AC", "20s"),
        ],
        ids=["silence", "reset", "closes at once", "closes within a header"],
    )
    def test_it_does_not_answer(
        self, gateway: StartGateway, steps: list[Conversation], reason: str, timeout: str
    ) -> None:
        with pacs(in_turn(Accepted.pdu, *steps)) as address:
            self.check(gateway, address, reason, timeout=timeout)

    @pytest.mark.parametrize("answer", [reject(1, 1, 3), reject(2, 3, 2), abort(2, 1)])
    def test_it_refuses(self, gateway: StartGateway, answer: bytes) -> None:
        with Spy([answer]) as spy:
            self.check(gateway, spy.address, "upstream pacs refused", answer)
            spy.wait_for(1, closed=True)

    @pytest.mark.parametrize(
        ("answer", "reason", "told"),
        [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the peer speaks HTTP", abort(2, 1)),
            (p_data(b"early"), "P-DATA-TF out of turn", abort(2, 2)),
            (RELEASE_RP, "A-RELEASE-RP out of turn", abort(2, 2)),
            (bytes.fromhex("02 00 FFFFFFFF"), "of 4294967295 bytes", INVALID_PARAMETER),
            (lambda rq: with_maximum_length(accept_all(rq), 1), "maximum length", INVALID_PARAMETER),
        ],
        ids=["HTTP", "P-DATA-TF", "A-RELEASE-RP", "4 GiB", "maximum length 1"],
    )
    def test_it_says_something_else(self, gateway: StartGateway, answer: Answer, reason: str, told: bytes) -> None:
        with Spy([answer]) as spy:
            self.check(gateway, spy.address, reason)
            spy.wait_for(1, closed=True)
            assert spy.connections[0].pdus()[1:] == [told]


class TestItsAnswer:
    def test_a_pacs_without_fault(self, gateway: StartGateway) -> None:
        with pacs(release) as address:
            running = gateway(configuration(address))
            with RawClient(running.address) as client:
                assert client.ask(ALICE_LOGS_IN)[0] == 2
                assert client.release() == RELEASE_RP
            running.wait_for("Closed", cause="released")

    def test_no_accept_before_the_pacs_accepts(self, gateway: StartGateway) -> None:
        asked, go_on = threading.Event(), threading.Event()

        def conversation(connection: Accepted) -> None:
            answer = accept_all(connection.pdu())
            asked.set()
            assert go_on.wait(20)
            for byte in answer[:-1]:
                connection.send(bytes((byte,)))
            assert nothing_comes(client)
            connection.send(answer[-1:])
            assert connection.pdu() == RELEASE_RQ
            connection.send(RELEASE_RP)
            end_of(connection)

        with pacs(conversation) as address:
            running = gateway(configuration(address))
            with RawClient(running.address) as client:
                client.send(ALICE_LOGS_IN)
                assert asked.wait(20)
                assert nothing_comes(client)
                assert running.told("Decided", outcome="accept")
                go_on.set()
                assert client.pdu()[0] == 2
                assert client.release() == RELEASE_RP

    @pytest.mark.parametrize("requested", [True, False])
    def test_a_foreign_server_response_is_dropped(self, gateway: StartGateway, requested: bool) -> None:
        with Spy([lambda rq: with_server_response(accept_all(rq), b"foreign"), RELEASE_RP]) as spy:
            running = gateway(configuration(spy.address))
            with RawClient(running.address) as client:
                answer = client.ask(request(login("alice", ALICE, response=requested)))
                assert client.release() == RELEASE_RP
            assert answer[0] == 2
            assert b"foreign" not in answer
            assert answer.endswith(EMPTY_RESPONSE) is requested
            assert (b"\x59\0" in answer) is requested

    @pytest.mark.parametrize(("length", "passes"), [(0, True), (100_000, True), (50_000, False)])
    def test_its_maximum_length_is_kept(self, gateway: StartGateway, length: int, passes: bool) -> None:
        """0 is no limit (PS3.8 D.1)."""
        sent = p_data(bytes(99_000))
        with Spy([lambda rq: with_maximum_length(accept_all(rq), length), b"", RELEASE_RP]) as spy:
            running = gateway(configuration(spy.address))
            with RawClient(running.address) as client:
                assert client.ask(ALICE_LOGS_IN)[0] == 2
                client.send(sent)
                if passes:
                    assert client.release() == RELEASE_RP
                else:
                    with suppress(ConnectionResetError):  # the answer may be overtaken by what was not read
                        assert client.pdu() == INVALID_PARAMETER
            [closed] = running.wait_for("Closed")
            assert closed["cause"] == ("released" if passes else "the client broke the protocol")
            spy.wait_for(1, closed=True)
            assert spy.connections[0].pdus()[1:] == ([sent, RELEASE_RQ] if passes else [INVALID_PARAMETER])


class TestBehindItsAnswer:
    """The association is established; the client sends P-DATA-TF."""

    @pytest.mark.parametrize(
        ("steps", "cause", "expected"),
        [
            ([Accepted.pdu, Accepted.reset], "the upstream closed the connection", [ABORT]),
            ([Accepted.pdu, Accepted.half_close, end_of], "the upstream closed the connection", []),
            ([lambda c: c.receive(10), says(abort(0, 0)), end_of], "aborted by the upstream", [abort(0, 0)]),
            *[
                ([Accepted.pdu, says(p_data(b"good"), wrong), hears(told)], BROKE, [p_data(b"good"), told])
                for wrong, told in (
                    (b"HTTP/1.1 400 Bad Request\r\n\r\n", abort(2, 1)),
                    (p_data(b"even", context=3), INVALID_PARAMETER),
                    (RELEASE_RP, abort(2, 2)),
                    (accept_all(ALICE_LOGS_IN), abort(2, 2)),
                )
            ],
        ],
        ids=["reset", "close", "abort within a PDU", "HTTP", "context never accepted", "A-RELEASE-RP", "second AC"],
    )
    def test_it_ends_what_it_began(
        self, gateway: StartGateway, steps: list[Conversation], cause: str, expected: list[bytes]
    ) -> None:
        with pacs(in_turn(Accepted.accept, *steps)) as address:
            running = gateway(configuration(address))
            with RawClient(running.address) as client:
                assert client.ask(ALICE_LOGS_IN)[0] == 2
                client.send(p_data(b"a whole one."))
                assert client.receive(sum(map(len, expected))) == b"".join(expected)
                assert client.receive(1) == b""
            running.wait_for("Closed", cause=cause)
            assert len(running.told("Closed")) == 1

    def test_it_ends_in_the_middle_of_a_pdu(self, gateway: StartGateway) -> None:
        """An A-ABORT would be read as the rest of the fragment: the client gets a RST instead."""
        client_has_the_first_half = threading.Event()
        fragment = p_data(bytes(1000))

        def conversation(connection: Accepted) -> None:
            connection.accept()
            connection.send(fragment[:500])
            assert client_has_the_first_half.wait(20)
            connection.reset()

        with pacs(conversation) as address:
            running = gateway(configuration(address))
            with RawClient(running.address) as client:
                assert client.ask(ALICE_LOGS_IN)[0] == 2
                assert client.receive(500) == fragment[:500]
                client_has_the_first_half.set()
                with pytest.raises(ConnectionResetError):
                    client.receive(1)
            running.wait_for("Closed", cause="the upstream closed the connection")

    def test_it_reads_nothing(self, gateway: StartGateway) -> None:
        """The client is held back: what the gateway keeps for a slow PACS has a bound."""
        client_is_held_back = threading.Event()
        received = 0

        def conversation(connection: Accepted) -> None:
            nonlocal received
            connection.accept()
            assert client_is_held_back.wait(60)
            while more := len(connection.receive(1 << 20)):
                received += more

        fragment = p_data(bytes(16_000))
        with pacs(conversation) as address:
            running = gateway(configuration(address))
            with RawClient(running.address) as client:
                assert client.ask(ALICE_LOGS_IN)[0] == 2
                client.socket.setblocking(False)
                sent = 0
                while select.select([], [client.socket], [], 1)[1] and sent < 1 << 28:
                    sent += client.socket.send((fragment * 64)[sent % len(fragment) :])
                assert sent < 1 << 28
                client_is_held_back.set()
                client.socket.settimeout(20)
                rest = -sent % len(fragment)
                client.send(fragment[len(fragment) - rest :])
                client.socket.shutdown(socket.SHUT_WR)
                assert client.receive(1) == b""
            [closed] = running.wait_for("Closed", cause="the client closed the connection")
        # Once the PACS reads on, all of it arrives.
        assert received == closed["bytes_from_client"] == sent + rest


@pytest.mark.parametrize("identity", ["strip", "forward"])
def test_ipv6_on_both_sides(gateway: StartGateway, identity: str) -> None:
    with pacs(release, host="::1") as address:
        running = gateway(configuration(address, listener={"bind": "[::1]:0"}, upstream={"identity": identity}))
        assert running.address[0] == "::1"
        with RawClient(running.address) as client:
            assert client.ask(ALICE_LOGS_IN)[0] == 2
            assert client.release() == RELEASE_RP
        [opened] = running.told("Opened")
        assert opened["address"] == "::1"


def test_two_listeners_and_two_upstreams(gateway: StartGateway) -> None:
    """One identity is stripped, the other forwarded, without the wish for an answer: that is the gateway's to give."""
    with Spy([accept_all, RELEASE_RP]) as strips, Spy([accept_all, RELEASE_RP]) as forwards:
        tables = configuration(strips.address, upstream={"called_ae_titles": ["STRIPS"]})
        second = configuration(forwards.address, upstream={"name": "second", "identity": "forward"})
        tables["upstream"] += second["upstream"]
        other = {"name": "research", "bind": [f"127.0.0.1:{free_port()}", "[::1]:0"], "cleartext_passcodes": True}
        tables["listener"].append(other)
        running = gateway(tables)
        assert len(running.server.bound) == 3
        for address in running.server.bound.values():
            for called in (b"STRIPS", b"FORWARDS"):
                with RawClient(address) as client:
                    asked = request(login("alice", ALICE, response=True), called=called)
                    assert client.ask(asked).endswith(EMPTY_RESPONSE)
                    assert client.release() == RELEASE_RP
        identity = login("alice", ALICE)
        assert [c.pdus()[0] for c in strips.connections] == [request(called=b"STRIPS")] * 3
        assert [c.pdus()[0] for c in forwards.connections] == [request(identity, called=b"FORWARDS")] * 3
        listeners = [event["listener"] for event in running.told("Opened")]
        assert listeners == ["clinical"] * 2 + ["research"] * 4
        assert {event["upstream"] for event in running.told("Established")} == {"pacs", "second"}


def nothing_comes(client: RawClient) -> bool:
    """Nothing has come, nor comes within a moment."""
    return not select.select([client.socket], [], [], 0.1)[0]


def with_maximum_length(pdu: bytes, length: int) -> bytes:
    place = pdu.index(bytes.fromhex("51 00 0004")) + 4
    return pdu[:place] + struct.pack(">L", length) + pdu[place + 4 :]
