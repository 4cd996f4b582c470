"""A check of one address: what is there, what is silent, what ends; nothing is left behind."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomgate.net import checking
from dicomgate.net.checking import Titles, check
from dicomgate.net.dial import Upstream
from dicomgate.testing import raw
from dicomgate.testing.pacs import Pacs
from dicomgate.testing.peers.loopback import free_port
from dicomgate.testing.peers.spy import HANG_UP, Spy, reject
from tests.wire.test_echo import RESPONSE

pytestmark = pytest.mark.anyio
TITLES = Titles("GATE", "PACS")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def upstream(address: tuple[str, int]) -> Upstream:
    return Upstream("pacs", *address[:2])


async def test_what_is_found_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        pacs = stack.enter_context(Pacs())
        before = descriptors()
        assert await check(upstream(pacs.address), TITLES) == ("", "")
        assert pacs.echoes == 1
        port = free_port()
        assert await check(upstream(("127.0.0.1", port)), TITLES) == (f"127.0.0.1:{port}: Connection refused", "")
        # It takes connections, as one that is stopped does: to connect is not enough to find that out.
        with socket.create_server(("127.0.0.1", 0)) as hangs:
            assert await check(upstream(hangs.getsockname()), None) == ("", "")
            with monkeypatch.context() as impatient:
                impatient.setattr(checking, "PATIENCE", 0.3)
                problem, _ = await check(upstream(hangs.getsockname()), TITLES)
            assert problem == "no answer to a C-ECHO within 0.3 s"
        for answer, what in (
            (HANG_UP, "the connection ended"),
            (b"HTTP/1.1 400 Bad", "HTTP"),
            (reject(2, 3, 1), "2,3,1"),
        ):
            with Spy([answer]) as spy:
                problem, _ = await check(upstream(spy.address), TITLES)
                assert problem.startswith("a C-ECHO failed: ")
                assert what in problem
        with Spy([raw.ac() + RESPONSE, HANG_UP]) as spy:
            assert await check(upstream(spy.address), TITLES) == ("", "")
        with Spy([reject(1, 1, 3)]) as spy:
            problem, remark = await check(upstream(spy.address), TITLES)
            assert (problem, remark[:20]) == ("", "A-ASSOCIATE-RJ 1,1,3")
        assert descriptors() == before
