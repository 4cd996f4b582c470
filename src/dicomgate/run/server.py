"""The gateway's life: start, run, reload, drain, stop.

Law: a reload that fails changes nothing and says so; one that succeeds is for new associations, those that are under
way keep what they came in by. Stopping lets associations finish up to a deadline, then ends them properly.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from ..config.schema import GatewayTable
from ..errors import DicomgateError, StartError, place
from ..events.audit import Audit
from ..events.events import Event
from ..events.log import write_log
from ..kit.addresses import show_address
from ..net.capacity import Capacity, DropLog, Limits
from ..net.descriptors import affordable
from ..net.listener import Listener, listen
from ..net.relay import PARTING
from ..net.server_state import ListenerSnapshot, ServerState
from ..net.session import Session
from .assembly import Assembly, assemble, open_audit
from .protection import Protection

_log = logging.getLogger("dicomgate.server")
_POLL = 0.02

Bind = tuple[str, int]


class Server:
    """A running gateway. `start`, then `drain` or `stop`; `reload` as often as wanted between them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._assembly: Assembly
        self._custody: Protection
        self._audit: Audit
        self._commons: ServerState
        self._listeners: dict[Bind, Listener] = {}
        self._entrances: dict[Bind, ListenerSnapshot] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self.bound: dict[Bind, Bind] = {}

    @property
    def associations(self) -> int:
        """How many associations are under way."""
        return len(self._commons.associations)

    async def start(self) -> None:
        """Listen. Raises ConfigError or StartError, and leaves nothing open then."""
        loop = asyncio.get_running_loop()
        assembly = await loop.run_in_executor(None, assemble, self._path)
        async with AsyncExitStack() as undo:
            self._audit = open_audit(assembly.configuration)
            undo.callback(self._audit.close)
            custody = await loop.run_in_executor(None, Protection, assembly.configuration)
            undo.push_async_callback(custody.close)
            await assembly.open()
            undo.push_async_callback(assembly.retire)
            sockets = _listen_all(assembly.entrances)
            undo.pop_all()
        limits = _limits(assembly.configuration.tables.gateway)
        self._commons = ServerState(loop, self._tell, Capacity(limits, DropLog(loop)), custody.guard)
        self._adopt(assembly, custody, sockets)

    async def reload(self) -> bool:
        """Take the configuration anew. False, and everything as before, if it cannot be taken; the log says why."""
        loop = asyncio.get_running_loop()
        try:
            assembly = await loop.run_in_executor(None, assemble, self._path)
            async with AsyncExitStack() as undo:
                audit = open_audit(assembly.configuration)
                undo.callback(audit.close)
                custody = self._custody
                if not custody.serves(assembly.configuration):
                    custody = await loop.run_in_executor(None, Protection, assembly.configuration)
                    undo.push_async_callback(custody.close)
                sockets = _listen_all(bind for bind in assembly.entrances if bind not in self._listeners)
                for sock in sockets.values():
                    undo.callback(sock.close)
                await assembly.open()
                undo.pop_all()
        except DicomgateError as error:
            for line in str(error).splitlines():
                _log.error("reload: %s", line)
            _log.error("reload: the configuration is as it was before")
            return False
        before, self._audit = self._audit, audit
        before.close()
        self._retire(self._assembly, self._custody if self._custody is not custody else None)
        self._adopt(assembly, custody, sockets)
        _log.info("reload: new associations use the configuration as it is now")
        return True

    async def drain(self) -> None:
        """Listen no more, let associations finish up to the deadline, then stop."""
        self._close_listeners()
        deadline = self._gateway.drain_timeout.total_seconds()
        if self.associations:
            _log.info("draining: %d associations have %g s to finish", self.associations, deadline)
        await self._wait_for_associations(deadline)
        await self.stop()

    async def stop(self) -> None:
        """End all associations with an A-ABORT, and leave the authenticators."""
        self._close_listeners()
        if self.associations:
            _log.warning("aborting %d associations", self.associations)
        for association in list(self._commons.associations):
            association.stop()
        await self._wait_for_associations(PARTING + 1)
        self._retire(self._assembly, self._custody)
        done, hanging = await asyncio.wait(self._retiring, timeout=PARTING + 1)
        for task in done:
            if error := task.exception():
                _log.error("an authenticator does not end as it should: %s", place(error))
        for task in hanging:
            task.cancel()
            _log.error("an authenticator does not end; it is left behind")
        self._audit.close()

    @property
    def _gateway(self) -> GatewayTable:
        return self._assembly.configuration.tables.gateway

    def _tell(self, event: Event) -> None:
        write_log(event)
        self._audit(event)

    def _retire(self, assembly: Assembly, custody: Protection | None) -> None:
        """Let go of them as soon as no association needs them."""
        retiring = asyncio.ensure_future(_let_go(assembly, custody))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    def _adopt(self, assembly: Assembly, custody: Protection, sockets: dict[Bind, socket.socket]) -> None:
        for bind in list(self._listeners):
            if bind not in assembly.entrances:
                self._listeners.pop(bind).close()
                del self.bound[bind]
                _log.info("listening on %s no more", show_address(*bind))
        self._assembly, self._custody = assembly, custody
        self._commons.guard = custody.guard
        custody.guard.forget()
        self._entrances = assembly.entrances
        for bind, sock in sockets.items():
            self.bound[bind] = sock.getsockname()[:2]
            self._listeners[bind] = Listener(self._commons.loop, sock, partial(self._accept, bind))
        for bind, entrance in assembly.entrances.items():
            _log.info("listening on %s: %s", show_address(*self.bound[bind]), _described(entrance))
        for warning in assembly.warnings:
            _log.warning("%s", warning)
        self._commons.places.limits = affordable(_limits(self._gateway))

    def _accept(self, bind: Bind, connection: socket.socket, address: Bind) -> None:
        place = self._commons.places.enter(address[0])
        if place is None:
            connection.close()
            return
        Session(self._commons, self._entrances[bind], connection, address, place)

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    async def _wait_for_associations(self, seconds: float) -> None:
        deadline = self._commons.loop.time() + seconds
        # Polled, because it happens once: an event would be kept up to date by every association of the day.
        while self.associations and self._commons.loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)


async def _let_go(assembly: Assembly, custody: Protection | None) -> None:
    await assembly.retire()
    if custody is not None:
        await custody.close()


def _listen_all(binds: Iterable[Bind]) -> dict[Bind, socket.socket]:
    """A socket for each address, or StartError and none."""
    sockets: dict[Bind, socket.socket] = {}
    try:
        for bind in binds:
            sockets[bind] = listen(*bind)
    except StartError:
        for sock in sockets.values():
            sock.close()
        raise
    return sockets


def _described(entrance: ListenerSnapshot) -> str:
    policy = entrance.policy
    identity = "identity required" if policy.identity_required else "identity optional"
    names = " then ".join(link.name for link in entrance.chain.links)
    return f"listener {policy.listener}, {'TLS' if entrance.tls else 'no TLS'}, {identity}, authenticators: {names}"


def _limits(gateway: GatewayTable) -> Limits:
    return Limits(
        gateway.max_associations,
        gateway.max_associations_per_source,
        gateway.max_unauthenticated,
        gateway.max_unauthenticated_per_source,
    )
