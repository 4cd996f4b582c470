"""The gateway's life: start, run, reload, drain, stop.

Rule: a reload that fails changes nothing and says so. One that succeeds counts for new associations; those under way
keep the configuration that they came in by. A stop lets associations finish up to a deadline, then ends them with an
A-ABORT.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..association.established import LINGER
from ..config.schema import GatewayTable
from ..errors import DicomgateError, place
from ..events.events import Cause
from ..net.announcement import receive
from ..net.capacity import Capacity, Limits
from ..net.descriptors import affordable
from ..net.inherited import Inherited
from ..net.listener import Address
from ..net.negotiation import Negotiation
from ..net.server_state import ServerState
from ..net.tally import dropped, silent
from ..sessions.everywhere import Everywhere
from ..sessions.register import Register
from ..sessions.revalidation import Revalidation
from ..sessions.users import UserLimits, Users
from .checking import Checking
from .generation import Generation, prepare
from .history import History
from .listening import Listening
from .records import Records

_log = logging.getLogger("dicomgate.server")
_POLL = 0.02  # seconds
_DRAINING = "the gateway is draining: it ends, and takes no other configuration"


class Server:
    """A running gateway, made by `start`. `reload` it as often as you like; then `drain` or `stop` it.

    `history` tells of its start and its reloads. `register` has the associations that are under way, `records` are told
    of each. `everywhere` are the other gateways on the same Redis. `adopted` are called in the event loop with each
    configuration that a reload has taken.
    """

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, generation: Generation) -> None:
        """For `start`."""
        self.adopted: list[Callable[[Generation], object]] = []
        self._path = path
        self._generation = generation
        self._retiring: set[asyncio.Task[None]] = set()
        self._one_reload = asyncio.Lock()
        self._reloading: asyncio.Future[tuple[str, ...]] | None = None
        capacity = Capacity(_limits(self._gateway), dropped(loop).count)
        self.history = History(datetime.now(UTC))
        self.records = Records(generation.audit)
        told = self.records.tell, self.records.keep, self.records.trouble
        self._state = ServerState(loop, *told, silent(loop).count, capacity, generation.protection.guard)
        self._listening = Listening(loop, self._accept)
        self._revalidation = Revalidation(self._state.register)
        self._checking = Checking()
        self.everywhere = Everywhere(self.register, self.users, self.records.operated)
        self._adopt(generation)

    @classmethod
    async def start(cls, path: Path, inherited: Sequence[Inherited] = ()) -> Server:
        """Listen, by what systemd has opened too. Raises ConfigError or StartError, and leaves nothing open then."""
        return cls(path, asyncio.get_running_loop(), await prepare(path, None, inherited))

    @property
    def generation(self) -> Generation:
        """What new associations use now."""
        return self._generation

    @property
    def bound(self) -> dict[Address, Address]:
        """The address that each listener got, by the address in the configuration, whose port may be 0."""
        return self._listening.bound

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs in."""
        return self._state.loop

    @property
    def node(self) -> str:
        """What it is called in its records."""
        return self._gateway.node

    @property
    def capacity(self) -> Capacity:
        """The slots that are given out, and their limits."""
        return self._state.capacity

    @property
    def register(self) -> Register:
        """The associations that are under way."""
        return self._state.register

    @property
    def users(self) -> Users:
        """How many associations each user has, his limit, and who is shut out."""
        return self._state.users

    @property
    def associations(self) -> int:
        """How many associations are under way."""
        return len(self.register)

    async def reload(self) -> tuple[str, ...]:
        """Read the configuration again: (), or why it cannot be used. Then nothing changes, and the log says why.

        One reload at a time. A drain ends the one that is under way, and there is none afterwards.
        """
        async with self._one_reload:
            if self.history.draining:
                return (_DRAINING,)
            self._reloading = asyncio.ensure_future(self._reload())
            with self.history.reload():
                try:
                    await asyncio.wait((self._reloading,))
                finally:
                    self._reloading.cancel()
            return (_DRAINING,) if self._reloading.cancelled() else self._reloading.result()

    async def _reload(self) -> tuple[str, ...]:
        running = self._generation
        try:
            new = await prepare(self._path, running)
        except DicomgateError as error:
            problems = tuple(str(error).splitlines())
            for line in problems:
                _log.error("reload: %s", line)
            _log.error("reload: the configuration is as it was before")
            self.history.failed(problems)
            return problems
        new.assembly.go_on_from(running.assembly)
        self._retire(running, new)
        self._adopt(new)
        for listener in sorted(_enforcing(running) - _enforcing(new)):
            _log.warning("reload: listener %s: its rules refuse nothing any more", listener)
        _log.info("reload: new associations use the configuration as it is now")
        self.history.reloaded(datetime.now(UTC))
        for tell in self.adopted:
            tell(new)
        return ()

    async def drain(self) -> None:
        """Stop listening, let associations finish up to the deadline, then stop.

        `drain_delay` comes before: whoever asks whether the gateway is ready learns that it is not, and sends no more.
        """
        self.history.drain()
        if self._reloading is not None:
            self._reloading.cancel()
        if delay := self._gateway.drain_delay.total_seconds():
            _log.info("draining: listening for %g s more (drain_delay)", delay)
            await asyncio.sleep(delay)
        self._listening.close()
        _log.info("no longer listening")
        deadline = self._gateway.drain_timeout.total_seconds()
        if self.associations:
            _log.info("draining: %d associations have %g s to finish", self.associations, deadline)
        await self._wait_for_associations(deadline)
        await self.stop()

    async def stop(self) -> None:
        """End all associations with an A-ABORT, and close everything."""
        self._listening.close()
        if self.associations:
            _log.warning("aborting %d associations", self.associations)
        for session in self.register:
            session.end(Cause.DRAINED, "")
        await self._wait_for_associations(LINGER + 1)
        self._revalidation.close()
        await self._checking.close()
        await self.everywhere.close()
        self._retire(self._generation, None)
        done, hanging = await asyncio.wait(self._retiring, timeout=LINGER + 1)
        for task in done:
            if error := task.exception():
                _log.error("an authenticator failed while it was closed: %s", place(error))
        for task in hanging:
            task.cancel()
            _log.error("an authenticator does not close; it is abandoned")

    @property
    def _gateway(self) -> GatewayTable:
        return self._generation.assembly.configuration.tables.gateway

    def _retire(self, old: Generation, successor: Generation | None) -> None:
        """Close it in the background, as soon as no association needs it."""
        retiring = asyncio.ensure_future(old.retire(successor))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    def _adopt(self, generation: Generation) -> None:
        """New associations use this generation."""
        self._generation = generation
        self.records.audit = generation.audit
        generation.audit.begin()
        self._state.guard = generation.protection.guard
        self._state.guard.forget()
        self._listening.adopt(generation)
        for warning in generation.assembly.warnings:
            _log.warning("%s", warning)
        self._state.capacity.limits = affordable(_limits(self._gateway))
        of_users = generation.assembly.configuration.tables.limits
        self.users.limits = UserLimits(of_users.per_user, of_users.per_user_group)
        self._revalidation.adopt(generation.assembly.links.values())
        self._checking.adopt(generation.assembly.upstreams.values())
        together, alone = of_users.per_user_scope == "cluster", of_users.on_unreachable == "local"
        self.everywhere.use(generation.protection.cluster, count=together, alone=alone)

    def _accept(self, bound: Address, connection: socket.socket, address: Address) -> None:
        listener = self._generation.assembly.listeners[bound]
        receive(self._state, listener, connection, address, self.bound[bound], Negotiation)

    async def _wait_for_associations(self, seconds: float) -> None:
        deadline = self._state.loop.time() + seconds
        # Polled, because it happens once: an event would be kept up to date by every association of the day.
        while self.associations and self._state.loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)


def _enforcing(generation: Generation) -> set[str]:
    """The listeners whose rules refuse something."""
    policies = (listener.policy for listener in generation.assembly.listeners.values())
    return {policy.listener for policy in policies if policy.rights is not None and policy.enforce_rights}


def _limits(gateway: GatewayTable) -> Limits:
    return Limits(
        gateway.max_associations,
        gateway.max_associations_per_source,
        gateway.max_unauthenticated,
        gateway.max_unauthenticated_per_source,
    )
