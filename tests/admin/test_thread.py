"""Whatever happens in the thread that serves operators, the gateway goes on, and ends in time."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from dicomgate.admin import thread as thread_module
from dicomgate.admin.thread import AdminThread
from dicomgate.run.generation import Generation

pytestmark = pytest.mark.anyio


class Noted:
    """A service that notes what it is told, and then does what a test wants."""

    def __init__(self, at_adopt: Callable[[], object] = int, at_close: Callable[[], object] = int) -> None:
        self.told: list[object] = []
        self._at_adopt, self._at_close = at_adopt, at_close

    async def adopt(self, generation: Generation) -> None:
        self.told.append(generation)
        self._at_adopt()

    async def close(self) -> None:
        self.told.append("close")
        self._at_close()


def generation(**tables: object) -> Generation:
    tables = {"control": None, "admin": None, **tables}
    configuration = SimpleNamespace(tables=SimpleNamespace(**tables))
    return cast(Generation, SimpleNamespace(assembly=SimpleNamespace(configuration=configuration)))


def served(first: Generation, **services: Noted) -> tuple[Any, AdminThread]:
    server: Any = SimpleNamespace(adopted=[], generation=first)
    return server, AdminThread(server, {name: lambda service=service: service for name, service in services.items()})  # type: ignore[misc]


def operators() -> int:
    return sum(thread.name == "operators" for thread in threading.enumerate())


async def test_there_is_no_thread_before_a_configuration_asks_for_one() -> None:
    control, without, with_ = Noted(), generation(), generation(control=True)
    server, thread = served(without, control=control)
    await thread.begin()
    assert operators() == 0
    for heard in server.adopted:
        heard(with_)
        heard(without)
    await thread.close()
    assert control.told == [with_, without, "close"]
    assert (operators(), server.adopted) == (0, [])


async def test_a_defect_is_logged_and_the_others_are_served(caplog: pytest.LogCaptureFixture) -> None:
    def exit_later() -> None:
        asyncio.get_running_loop().call_soon(sys.exit)  # as a library may
        raise ZeroDivisionError

    broken, other, wanted = Noted(exit_later, exit_later), Noted(), generation(control=True, admin=True)
    server, thread = served(wanted, control=broken, admin=other)
    await thread.begin()
    server.adopted[0](wanted)
    await thread.close()
    assert other.told == [wanted, wanted, "close"]
    assert operators() == 0
    assert "a defect: what [control] asks for is not served" in caplog.messages
    assert "a defect in what serves operators" in caplog.messages


async def test_where_no_thread_can_begin_the_gateway_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, wanted = Noted(), generation(control=True)
    server, thread = served(wanted, control=control)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
        await thread.begin()
    assert "what serves operators cannot begin: can't start new thread" in caplog.text
    server.adopted[0](wanted)
    await thread.close()
    assert control.told == [wanted, "close"], "the next reload tries it again"


async def test_what_hangs_is_left_behind(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_module, "_PATIENCE", 0.05)
    hangs = threading.Event()
    _, thread = served(generation(control=True), control=Noted(at_close=hangs.wait))
    await thread.begin()
    await thread.close()
    hangs.set()
    assert "the thread that serves operators does not end; it is abandoned" in caplog.messages
