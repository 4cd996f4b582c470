"""What goes on at the addresses of pools without any client: checks, and looking up names again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from ..net.checking import check
from ..net.dial import Upstream
from ..net.pool import Member
from ..net.pooled import PooledUpstream

_log = logging.getLogger("dicomgate.upstream")
_SOON = 2.0
"""Seconds between two checks of an address that does not answer."""


class Checking:
    """Looks after the pools of the running configuration. For one event loop."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def adopt(self, upstreams: Iterable[Upstream | PooledUpstream]) -> None:
        """Look after the pools among these from now on, and after no others."""
        for task in self._tasks:
            task.cancel()
        pools = [upstream for upstream in upstreams if isinstance(upstream, PooledUpstream)]
        work = [_names(pool) for pool in pools]
        work += [_checks(to, member) for to in pools if to.looks.checked for member in to.pool.members]
        self._tasks = [asyncio.ensure_future(one) for one in work]

    async def close(self) -> None:
        """Look after none any more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _checks(to: PooledUpstream, member: Member) -> None:
    loop, looks = asyncio.get_running_loop(), to.looks
    while True:
        began = loop.time()
        try:
            if member.order != "down":
                problem, remark = await check(to.addresses[member.name], looks.titles)
                member.check_seconds = loop.time() - began
                to.pool.checked(member, problem.removeprefix(f"{member.name}: "), remark, loop.time())
        except Exception:  # noqa: BLE001 (the next check may be better)
            _log.exception("a defect of the gateway: %s was not checked", member.name)
        interval = min(_SOON, looks.interval) if member.failures else looks.interval
        await asyncio.sleep(max(0.0, began + interval - loop.time()))


async def _names(to: PooledUpstream) -> None:
    while True:
        await asyncio.sleep(to.looks.refresh)
        for upstream in to.addresses.values():
            upstream.host.look_up()
