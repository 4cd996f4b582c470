"""A host: which of its addresses is tried first, and when its name is looked up."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import pytest

from dicomgate.kit import host
from dicomgate.kit.failover import MEMORY
from dicomgate.kit.host import Host
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.silence import Names

__all__ = ["names"]

pytestmark = pytest.mark.anyio


def order(one: Host) -> list[str]:
    return [str(address) for address in one.addresses()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(host, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


async def test_families_take_turns_and_no_address_comes_twice(names: Names) -> None:
    names.addresses["pacs.test"] = ["::2", "::3", "::4", "127.0.0.2", "127.0.0.3", "::2"]
    pacs = Host("pacs.test", 104)
    assert await pacs.begin() == ""
    assert order(pacs) == ["[::2]:104", "127.0.0.2:104", "[::3]:104", "127.0.0.3:104", "[::4]:104"]


async def test_what_answered_comes_first_and_what_failed_comes_last_for_a_while(
    names: Names, clock: SimpleNamespace
) -> None:
    names.addresses["pacs.test"] = [f"127.0.0.{number}" for number in (2, 3, 4)]
    pacs = Host("pacs.test", 104)
    await pacs.begin()
    two, three, four = pacs.addresses()
    pacs.failed(two, "no answer")
    assert pacs.addresses() == [three, four, two]
    pacs.answered(four)
    assert pacs.addresses() == [four, three, two]
    clock.now += MEMORY + 1
    assert pacs.addresses() == [four, two, three]
    pacs.failed(four, "refused")
    assert pacs.addresses() == [two, three, four]
    assert pacs.trouble() == ""  # one of them has not failed
    pacs.failed(three, "a wrong certificate")
    assert pacs.trouble() == "127.0.0.2:104: no answer; 127.0.0.3:104: a wrong certificate; 127.0.0.4:104: refused"
    names.addresses["pacs.test"] = ["127.0.0.5", "127.0.0.3"]
    await asyncio.wait((pacs.look_up(),))
    assert order(pacs) == ["127.0.0.5:104", "127.0.0.3:104"]


async def test_a_name_is_looked_up_once_at_a_time_and_not_again_at_once(
    names: Names, monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace
) -> None:
    monkeypatch.setattr(host, "_FRESH", 1.0)
    names.addresses["pacs.test"] = ["127.0.0.2"]
    pacs = Host("pacs.test", 104)
    assert pacs.look_up() is pacs.look_up()
    await asyncio.wait((pacs.look_up(),))
    await asyncio.wait((pacs.look_up(),))
    assert names.asked == ["pacs.test"]
    clock.now += 1.1
    names.addresses["pacs.test"] = []
    await asyncio.wait((pacs.look_up(),))
    assert names.asked == ["pacs.test"] * 2
    assert order(pacs) == ["127.0.0.2:104"]  # what was known stays in use


def test_an_address_needs_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def numeric_alone(*arguments: object, flags: int = 0, **options: object) -> object:
        assert flags & socket.AI_NUMERICHOST
        return resolve(*arguments, flags=flags, **options)  # type: ignore[arg-type, misc]

    monkeypatch.setattr(socket, "getaddrinfo", numeric_alone)
    assert [order(Host(one, 104)) for one in ("127.0.0.2", "::1")] == [["127.0.0.2:104"], ["[::1]:104"]]
