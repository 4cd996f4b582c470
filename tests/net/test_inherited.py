from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dicomgate.net.inherited import Inherited, assigned, inherited


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_socket_that_no_listener_can_use_is_closed_and_said(
    sockets: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    both, datagrams = socket.socket(socket.AF_INET6), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    both.bind(("::", 0))
    both.listen()
    silent = socket.socket()
    right, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    for one in (both, datagrams, silent, right, second):
        sockets.enter_context(one)
    given = [Inherited("clinical", one) for one in (both, datagrams, silent, right, second)]
    assert assigned(given, {("0.0.0.0", 104): "clinical"}) == {("0.0.0.0", 104): right}
    assert (right.getblocking(), right.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) == (False, 1)
    assert [one.fileno() for one in (both, datagrams, silent, second)] == [-1] * 4
    assert [record.getMessage().rpartition("is closed: ")[2] for record in caplog.records] == [
        "it takes IPv4 too: write BindIPv6Only=ipv6-only, and a ListenStream= for each",
        "it is not one of TCP",
        "it does not listen (Accept=yes?)",
        "no listener has its address in bind, or its name",
    ]


def test_a_listener_with_two_addresses_has_each_socket_where_it_is_bound(sockets: ExitStack) -> None:
    first, second = (sockets.enter_context(socket.create_server((f"127.0.0.{host}", 0))) for host in (1, 2))
    at = {one.getsockname(): one for one in (second, first)}
    assert assigned([Inherited("a", first), Inherited("a", second)], dict.fromkeys(at, "a")) == at


def test_the_sockets_of_another_process_are_not_ours() -> None:
    environment = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a", "HOME": "/"}
    assert inherited(environment) == []
    assert environment == {"HOME": "/"}
