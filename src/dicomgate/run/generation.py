"""Everything that one reading of the configuration names, ready for use.

Rule: a preparation that fails leaves nothing open, and nothing that is running changes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from ..audit.sinks import Sinks
from ..config.load import Configuration
from ..errors import ConfigError
from ..net.inherited import Inherited, assigned
from ..net.listener import Address, listen
from .assembly import Assembly, assemble
from .audits import open_audit
from .control_socket import ControlSocket
from .page import Page
from .protection import Protection


@dataclass(frozen=True, slots=True)
class Generation:
    """What a server runs with until the next reload. `sockets` are its listening sockets by configured address.

    `page_socket` is that of `[admin]`; it belongs to whoever serves it.
    `control` is the socket that operators' commands talk to, None without `[control]`. Who serves it closes it.
    """

    assembly: Assembly
    protection: Protection
    audit: Sinks
    sockets: Mapping[Address, socket.socket]
    page_socket: socket.socket | None = None
    control: ControlSocket | None = None

    async def retire(self, successor: Generation | None) -> None:
        """Close what the successor does not use, once no association needs it. The sockets are the listeners' own.

        The records that still wait are written before the audit's file is closed, if that takes them in time.
        """
        others = None if successor is None else successor.audit
        await asyncio.gather(asyncio.to_thread(self.audit.close, others), self.assembly.retire())
        if successor is None or successor.protection is not self.protection:
            await self.protection.close()


async def prepare(path: Path, running: Generation | None, inherited: Sequence[Inherited] = ()) -> Generation:
    """Read the configuration and make, open and bind everything that it names.

    What it has in common with the running generation, sockets and protection, is taken over from that; at the start,
    sockets from those that systemd has opened. Raises ConfigError with all that is wrong in the file, and StartError.
    """
    loop = asyncio.get_running_loop()
    assembly = await loop.run_in_executor(None, assemble, path)
    async with AsyncExitStack() as undo:
        old_audit = None if running is None else running.audit
        audit = await loop.run_in_executor(None, open_audit, assembly.configuration, old_audit)
        undo.callback(audit.close, old_audit)
        if running is not None and running.protection.serves(assembly.configuration):
            protection = running.protection
        else:
            protection = await loop.run_in_executor(None, Protection, assembly.configuration)
            undo.push_async_callback(protection.close)
        await assembly.open()
        undo.push_async_callback(assembly.retire)
        if running is None:
            old = assigned(inherited, {address: one.policy.listener for address, one in assembly.listeners.items()})
            for sock in old.values():
                undo.callback(sock.close)
        else:
            old = {**running.sockets}
        sockets = {
            address: _bound(address, table, old.get(address), undo) for address, table in assembly.tables.items()
        }
        page_socket = None
        if assembly.page is not None:
            page_socket = _bound(assembly.page.bind, "[admin]", _kept(assembly.page, running), undo)
        control = await loop.run_in_executor(None, _control_socket, assembly.configuration, running)
        if control is not None and (running is None or control is not running.control):
            undo.callback(control.close)
        undo.pop_all()
    return Generation(assembly, protection, audit, sockets, page_socket, control)


def _bound(address: Address, table: str, old: socket.socket | None, undo: AsyncExitStack) -> socket.socket:
    """The listening socket that this table wants: the old one; or a new one, which `undo` closes."""
    if old is not None:
        return old
    sock = listen(*address, table)
    undo.callback(sock.close)
    return sock


def _kept(page: Page, running: Generation | None) -> socket.socket | None:
    """The socket of the page so far, if it stays where it is."""
    if running is None or running.assembly.page is None or running.assembly.page.bind != page.bind:
        return None
    return running.page_socket


def _control_socket(configuration: Configuration, running: Generation | None) -> ControlSocket | None:
    """The socket that `[control]` names; that of the running generation, if it is the same and still there."""
    table = configuration.tables.control
    if table is None:
        return None
    path = configuration.folder / table.path
    old = None if running is None else running.control
    if old is not None and old.path == path and old.is_there:
        return old
    try:
        return ControlSocket(path)
    except ConfigError as error:
        raise configuration.located(error, "control", "path") from error
