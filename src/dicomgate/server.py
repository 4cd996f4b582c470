"""The gateway's life: start, run, reload, drain, stop.

Law: a reload that fails changes nothing and says so; one that succeeds is for new associations, those that are under
way keep what they came in by. Stopping lets associations finish up to a deadline, then ends them properly.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from .addresses import show_address
from .assembly import Assembly, assemble
from .errors import DicomgateError, StartError, place
from .gateway.entrance import Commons, Entrance
from .gateway.listener import Listener, listen
from .gateway.relay import PARTING
from .gateway.session import Session
from .observe.audit import Audit
from .observe.events import Event
from .observe.log import write_log
from .tables import GatewayTable

_log = logging.getLogger("dicomgate.server")
_POLL = 0.02
_DESCRIPTORS_BESIDE = 64  # standard streams, listeners, files, authenticators' own connections

Bind = tuple[str, int]


class Server:
    """A running gateway. `start`, then `drain` or `stop`; `reload` as often as wanted between them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._assembly: Assembly
        self._audit: Audit
        self._commons: Commons
        self._listeners: dict[Bind, Listener] = {}
        self._entrances: dict[Bind, Entrance] = {}
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
        gateway = assembly.configuration.tables.gateway
        self._audit = _make_audit(assembly)
        self._commons = Commons(loop, self._tell, gateway.max_associations)
        try:
            await assembly.open()
            sockets = _listen_all(assembly.entrances)
        except BaseException:
            await assembly.retire()
            self._audit.close()
            raise
        self._adopt(assembly, sockets)

    async def reload(self) -> bool:
        """Take the configuration anew. False, and everything as before, if it cannot be taken; the log says why."""
        loop = asyncio.get_running_loop()
        try:
            assembly = await loop.run_in_executor(None, assemble, self._path)
            audit = _make_audit(assembly)
            sockets: dict[Bind, socket.socket] = {}
            try:
                sockets = _listen_all(bind for bind in assembly.entrances if bind not in self._listeners)
                await assembly.open()
            except BaseException:
                for sock in sockets.values():
                    sock.close()
                audit.close()
                raise
        except DicomgateError as error:
            for line in str(error).splitlines():
                _log.error("reload: %s", line)
            _log.error("reload: the configuration is as it was before")
            return False
        before, self._audit = self._audit, audit
        before.close()
        self._commons.most = assembly.configuration.tables.gateway.max_associations
        retired = asyncio.ensure_future(self._assembly.retire())
        self._retiring.add(retired)
        retired.add_done_callback(self._retiring.discard)
        self._adopt(assembly, sockets)
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
        leaving = {asyncio.ensure_future(self._assembly.retire()), *self._retiring}
        done, hanging = await asyncio.wait(leaving, timeout=PARTING + 1)
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

    def _adopt(self, assembly: Assembly, sockets: dict[Bind, socket.socket]) -> None:
        for bind in list(self._listeners):
            if bind not in assembly.entrances:
                self._listeners.pop(bind).close()
                del self.bound[bind]
                _log.info("listening on %s no more", show_address(*bind))
        self._assembly = assembly
        self._entrances = assembly.entrances
        for bind, sock in sockets.items():
            self.bound[bind] = sock.getsockname()[:2]
            self._listeners[bind] = Listener(self._commons.loop, sock, partial(self._accept, bind))
        for bind, entrance in assembly.entrances.items():
            _log.info("listening on %s: %s", show_address(*self.bound[bind]), _described(entrance))
        for warning in assembly.warnings:
            _log.warning("%s", warning)
        _check_descriptors(self._gateway.max_associations)

    def _accept(self, bind: Bind, connection: socket.socket, address: Bind) -> None:
        # Those above the limit get an answer; those far above it get none, or the limit would be no limit.
        if self.associations >= 2 * self._commons.most:
            connection.close()
            return
        Session(self._commons, self._entrances[bind], connection, address)

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    async def _wait_for_associations(self, seconds: float) -> None:
        deadline = self._commons.loop.time() + seconds
        # Polled, because it happens once: an event would be kept up to date by every association of the day.
        while self.associations and self._commons.loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)


def _make_audit(assembly: Assembly) -> Audit:
    gateway, folder = assembly.configuration.tables.gateway, assembly.configuration.folder
    return Audit(folder / gateway.audit if gateway.audit else None, gateway.node)


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


def _described(entrance: Entrance) -> str:
    policy = entrance.policy
    identity = "identity required" if policy.identity_required else "identity optional"
    names = " then ".join(link.name for link in entrance.chain.links)
    return f"listener {policy.listener}, {'TLS' if entrance.tls else 'no TLS'}, {identity}, authenticators: {names}"


def _check_descriptors(most: int) -> None:
    """Two descriptors for each association: raise the soft limit to what is needed, or say that it does not suffice."""
    needed = 2 * most + _DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed:
        _log.warning(
            "%d file descriptors are allowed, %d are needed for max_associations = %d: raise the limit (LimitNOFILE)",
            soft, needed, most,
        )  # fmt: skip
