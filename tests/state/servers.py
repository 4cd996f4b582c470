"""Servers that are no Redis, or a slow one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[str]:
    """The URL of a server that treats each connection so, until the block ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has had enough, or the test
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"redis://:canary-secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(answer: bytes) -> Handle:
    """Answers each thing it receives with the same bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(answer)
            await writer.drain()

    return handle


def flooding(answer: bytes) -> Handle:
    """Says the same bytes again and again, asked or not."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(answer)
            await writer.drain()
            await asyncio.sleep(0)  # it is in the process of its client, which wants a turn too

    return handle


def passing_on(port: int, seconds: float) -> Handle:
    """Passes on what the Redis at this port says, 64 bytes at a time, so many seconds after those before."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", port)

        async def there() -> None:
            while data := await reader.read(65_536):
                to_redis.write(data)
                await to_redis.drain()
            to_redis.close()

        asking = asyncio.create_task(there())
        try:
            while data := await from_redis.read(64):
                await asyncio.sleep(seconds)
                writer.write(data)
                await writer.drain()
        finally:
            asking.cancel()
            to_redis.close()

    return handle


def losing_answers(port: int) -> Handle:
    """Passes everything on to the Redis at this port and back, but ends when a script was run, before its answer."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", port)
        try:
            while data := await reader.read(65_536):
                to_redis.write(data)
                await to_redis.drain()
                answer = await from_redis.read(65_536)
                if b"EVALSHA" in data:
                    break
                writer.write(answer)
        finally:
            to_redis.close()

    return handle
