"""Coroutines in a race: the first that succeeds, and nothing left of the others."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import pytest

from dicomgate.kit.connecting import first
from dicomgate.kit.failover import BusyError, NoAnswerError
from dicomgate.kit.host import Address, Host
from dicomgate.kit.race import AT_ONCE
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.silence import Names

__all__ = ["names"]

pytestmark = pytest.mark.anyio


class Hosts:
    """What happens at each address: a problem, or the seconds until it is open."""

    def __init__(self, **behaviour: float | Exception) -> None:
        self.behaviour = behaviour
        self.tried: list[str] = []
        self.discarded: list[str] = []
        self.open_now = self.most = 0

    async def open(self, address: Address) -> str:
        last = str(address.socket_address[0]).rpartition(".")[2]
        self.tried.append(last)
        outcome = self.behaviour[f"at_{last}"]
        if isinstance(outcome, Exception):
            raise outcome
        self.open_now += 1
        self.most = max(self.most, self.open_now)
        try:
            await asyncio.sleep(outcome)
        except asyncio.CancelledError:
            if outcome < 9:  # it is too late to give up
                return last
            raise
        finally:
            self.open_now -= 1
        return last


@pytest.fixture
def race(names: Names) -> Any:
    names.addresses["pacs.test"] = ["127.0.0.2", "127.0.0.3"]

    def run(hosts: Hosts) -> Any:
        host = Host("pacs.test", 104)
        log = logging.getLogger("dicomgate_test")
        return host, partial(first, host, hosts.open, hosts.discarded.append, kind="test", log=log, stagger=0.05)

    return run


async def test_the_first_that_succeeds_is_remembered(race: Any) -> None:
    hosts = Hosts(at_2=30, at_3=0)
    _, ask = race(hosts)
    assert [await ask(), await ask()] == ["3", "3"]
    assert hosts.tried == ["2", "3", "3"]
    hosts.behaviour = {"at_2": 0, "at_3": NoAnswerError("stopped")}
    assert await ask() == "2"


async def test_many_silent_addresses_are_not_all_tried_at_once(race: Any, names: Names) -> None:
    names.addresses["pacs.test"] = [f"127.0.0.{number}" for number in range(2, 9)]
    hosts = Hosts(**{f"at_{number}": 30 for number in range(2, 8)}, at_8=0)
    _, ask = race(hosts)
    assert await ask() == "8"
    assert hosts.tried == [*"2345678"]
    assert hosts.most <= AT_ONCE


async def test_what_a_loser_has_opened_is_discarded(race: Any) -> None:
    hosts = Hosts(at_2=5, at_3=0)
    _, ask = race(hosts)
    assert await ask() == "3"
    await asyncio.sleep(0.01)
    assert hosts.discarded == ["2"]


async def test_all_that_fail_are_named_and_what_is_our_own_fault_is_raised_as_it_is(race: Any) -> None:
    hosts = Hosts(at_2=NoAnswerError("refused"), at_3=NoAnswerError("garbage"))
    _, ask = race(hosts)
    with pytest.raises(NoAnswerError, match=r"^127\.0\.0\.2:104: refused; 127\.0\.0\.3:104: garbage$"):
        await ask()
    hosts.behaviour["at_2"] = hosts.behaviour["at_3"] = BusyError("too many")
    with pytest.raises(BusyError):
        await ask()
    hosts.behaviour["at_2"] = hosts.behaviour["at_3"] = ValueError("a defect")
    with pytest.raises(ValueError, match="a defect"):
        await ask()


async def test_cancelled_it_leaves_no_task_and_the_host_knows_who_was_silent(race: Any) -> None:
    hosts = Hosts(at_2=30, at_3=30)
    host, ask = race(hosts)
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(), 0.3)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert host.trouble().count("no answer within 0.") == 2
