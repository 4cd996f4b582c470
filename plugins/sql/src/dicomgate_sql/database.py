"""The database, asked with a deadline and a bound.

Rule 1: an answer comes within the patience, whatever the server does: down, hung, slow, or no database at all.
Rule 2: who gives up waiting cancels nothing: a connection costs the server much, and hanging up costs the peer nothing.
Rule 3: a connection that failed is not used again, and the next question opens another: no restart is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .failure import CouldNotLookError, in_words
from .greeting import CarefulLoop
from .target import Target

_WAITING_FOR_EACH_CONNECTION = 32
_PARTING = 1.0
"""Seconds that a server has to take leave of a connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows, or the number of rows that were changed."""

    columns: Sequence[str] = ()
    rows: Sequence[Mapping[str, object]] = ()
    changed: int = 0


class Database:
    """Connections to one target, at most so many. Use it in one event loop, and close it."""

    def __init__(self, target: Target, *, connections: int, patience: float) -> None:
        self._target = target
        self._patience = patience
        self._free = asyncio.Semaphore(connections)
        self._most = connections * _WAITING_FOR_EACH_CONNECTION
        self._asking: set[asyncio.Task[Answer]] = set()
        arguments = dict(target.arguments)
        if target.url.get_backend_name() == "postgresql":
            arguments["loop"] = CarefulLoop(asyncio.get_running_loop())
        self._engine: AsyncEngine = create_async_engine(
            target.url,
            connect_args=arguments,
            isolation_level="AUTOCOMMIT",  # one round trip for one statement
            hide_parameters=True,
            **target.pool,
        )
        self._open: set[Any] = set()
        event.listen(self._engine.sync_engine, "connect", lambda connection, _: self._open.add(connection))
        event.listen(self._engine.sync_engine, "close", lambda connection, _: self._open.discard(connection))

    async def ask(self, statement: TextClause, **parameters: str) -> Answer:
        """Execute one statement. Raises CouldNotLookError, within the patience."""
        if len(self._asking) >= self._most:
            raise CouldNotLookError(f"{len(self._asking)} questions are waiting for the database already")
        task = asyncio.create_task(self._execute(statement, parameters))
        self._asking.add(task)
        # A connection may take longer than the patience to be given up: nobody waits for that.
        timer = asyncio.get_running_loop().call_later(self._patience, task.cancel)
        task.add_done_callback(lambda _: timer.cancel())
        task.add_done_callback(self._over)
        await asyncio.wait((task,), timeout=self._patience)
        if not task.done() or task.cancelled():
            raise CouldNotLookError(f"the database: no answer within {self._patience:g} s")
        return task.result()

    async def close(self) -> None:
        """Close every connection; those of a server that does not answer are dropped."""
        asking = self._asking.copy()
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking, timeout=_PARTING)
        for connection in self._open.copy():
            connection.terminate()
        if asking:
            await asyncio.wait(asking, timeout=_PARTING)
        await self._engine.dispose()

    async def _execute(self, statement: TextClause, parameters: Mapping[str, str]) -> Answer:
        try:
            async with self._free:
                self._target.check()
                async with self._engine.connect() as connection:
                    result = await connection.execute(statement, parameters)
                    if not result.returns_rows:
                        return Answer(changed=result.rowcount)
                    columns = tuple(result.keys())
                    return Answer(columns, [dict(zip(columns, row, strict=True)) for row in result.all()])
        except Exception as error:  # noqa: BLE001 - a server that is none makes drivers raise what they like
            said = in_words(error)
        raise CouldNotLookError(f"the database: {said}")  # outside of the block: with no context that has more to tell

    def _over(self, task: asyncio.Task[Answer]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # or asyncio would complain that nobody asked for it
