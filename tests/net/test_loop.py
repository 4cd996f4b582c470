"""The event loop's callbacks for sockets, and asyncio's own beside them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias, TypeVar

import pytest

from dicomgate.net.loop import Loop, _Table

Pair: TypeAlias = tuple[socket.socket, socket.socket]
_Result = TypeVar("_Result")


def run(what: Coroutine[Any, Any, _Result]) -> _Result:
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(asyncio.wait_for(what, 20))


def pair() -> Pair:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [pair() for _ in range(3)]
    with ExitStack() as stack:
        for one in made:
            for end in one:
                stack.enter_context(end)
        yield made


async def turn() -> None:
    """So long that all that is ready was called."""
    await asyncio.sleep(0.01)


def test_a_descriptor_is_called_back_for_what_it_is_ready_for(pairs: list[Pair]) -> None:
    async def main() -> list[list[object]]:
        loop, ((ours, theirs), *_) = asyncio.get_running_loop(), pairs
        seen: list[list[object]] = []

        def said(what: str) -> None:
            seen[-1].append(what)
            if what.startswith("read"):
                ours.recv(9)
            else:
                loop.remove_writer(ours)

        async def step() -> None:
            seen.append([])
            theirs.send(b"x")
            await turn()

        loop.add_reader(ours, said, "read")
        await step()
        loop.add_reader(ours.fileno(), said, "read anew")
        await step()
        loop.add_writer(ours, said, "write")
        await step()
        seen.append([loop.remove_reader(ours), loop.remove_reader(ours), loop.remove_writer(ours)])
        await step()
        return seen

    assert run(main()) == [["read"], ["read anew"], ["read anew", "write"], [True, False, False], []]


def test_what_a_callback_has_closed_is_not_called_in_the_same_turn(pairs: list[Pair]) -> None:
    """Nor is the next socket that gets its number, for what happened to the one before."""

    async def main() -> tuple[list[str], list[str]]:
        loop, ((first, to_first), (second, to_second), _) = asyncio.get_running_loop(), pairs
        called: list[str] = []
        opened: list[Pair] = []

        def next_one(reused: socket.socket) -> None:
            called.append("the next one")
            loop.remove_reader(reused)

        def close(other: socket.socket) -> None:
            called.append("one of the two")
            number = other.fileno()
            for one in (first, second):
                loop.remove_reader(one)
            other.close()
            opened.append(pair())
            reused = opened[0][0]
            assert reused.fileno() == number
            loop.add_reader(reused, next_one, reused)

        loop.add_reader(first, close, second)
        loop.add_reader(second, close, first)
        to_first.send(b"x")
        to_second.send(b"x")
        await turn()
        at_once = called.copy()
        opened[0][1].send(b"x")
        await turn()
        for end in opened[0]:
            end.close()
        return at_once, called

    assert run(main()) == (["one of the two"], ["one of the two", "the next one"])


def test_a_defect_in_a_callback_is_told_and_others_are_served(pairs: list[Pair]) -> None:
    async def main() -> tuple[list[str], list[str]]:
        loop, served, told = asyncio.get_running_loop(), list[str](), list[str]()
        loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))

        def answer(ours: socket.socket, defect: bool) -> None:
            loop.remove_reader(ours)
            if defect:
                raise ValueError("a defect")
            served.append("served")

        for number, (ours, theirs) in enumerate(pairs):
            loop.add_reader(ours, answer, ours, number == 1)
            theirs.send(b"x")
        await turn()
        return served, told

    assert run(main()) == (["served", "served"], ["a defect"])


def test_asyncio_has_its_own_sockets_and_threads_beside_them(pairs: list[Pair]) -> None:
    async def main() -> tuple[bytes, str]:
        loop, ((ours, theirs), (watched, _), _) = asyncio.get_running_loop(), pairs
        loop.add_reader(watched, lambda: None)
        reader, writer = await asyncio.open_connection(sock=ours)
        told: asyncio.Future[str] = loop.create_future()
        threading.Timer(0.02, lambda: loop.call_soon_threadsafe(told.set_result, "from a thread")).start()
        said = await told
        theirs.send(b"to a stream")
        heard = await reader.read(99)
        writer.close()
        return heard, said

    assert run(main()) == (b"to a stream", "from a thread")


def test_nothing_is_left_of_what_asyncio_has_waited_for(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the loop would find it ready in each turn, and never sleep again."""
    selects: list[object] = []
    select = _Table.select
    monkeypatch.setattr(_Table, "select", lambda *given: selects.append(given) or select(*given))  # type: ignore[func-returns-value]

    async def main() -> tuple[bytes, int]:
        loop, ((ours, theirs), *_) = asyncio.get_running_loop(), pairs
        loop.call_later(0.01, theirs.send, b"late")
        heard = await loop.sock_recv(ours, 1)
        theirs.setblocking(False)
        sending = asyncio.create_task(loop.sock_sendall(ours, bytes(1 << 20)))
        await turn()
        while not sending.done():
            theirs.recv(1 << 16)
            await asyncio.sleep(0)
        selects.clear()
        await asyncio.sleep(0.1)
        return heard, len(selects)

    heard, turns = run(main())
    assert heard == b"l"
    assert turns < 10
