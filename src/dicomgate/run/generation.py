"""Everything that one reading of the configuration names, ready for use.

Rule: a preparation that fails leaves nothing open, and nothing that is running changes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from ..events.audit import Audit
from ..net.listener import Address, listen
from .assembly import Assembly, assemble, open_audit
from .protection import Protection


@dataclass(frozen=True, slots=True)
class Generation:
    """What a server runs with until the next reload. `sockets` are its listening sockets by configured address."""

    assembly: Assembly
    protection: Protection
    audit: Audit
    sockets: Mapping[Address, socket.socket]

    async def retire(self, successor: Generation | None) -> None:
        """Close what the successor does not use, once no association needs it. The sockets are the listeners' own.

        The records that still wait are written before the audit's file is closed, if that takes them in time.
        """
        await asyncio.gather(self._close_audit(successor), self.assembly.retire())
        if successor is None or successor.protection is not self.protection:
            await self.protection.close()

    async def _close_audit(self, successor: Generation | None) -> None:
        if successor is None or not self.audit.goes_on_in(successor.audit):
            await asyncio.to_thread(self.audit.close)


async def prepare(path: Path, running: Generation | None) -> Generation:
    """Read the configuration and make, open and bind everything that it names.

    What it has in common with the running generation, sockets and protection, is taken over from that. Raises
    ConfigError with all that is wrong in the file, and StartError.
    """
    loop = asyncio.get_running_loop()
    assembly = await loop.run_in_executor(None, assemble, path)
    async with AsyncExitStack() as undo:
        old_audit = None if running is None else running.audit
        audit = await loop.run_in_executor(None, open_audit, assembly.configuration, old_audit)
        if old_audit is None or not old_audit.goes_on_in(audit):
            undo.callback(audit.close)
        if running is not None and running.protection.serves(assembly.configuration):
            protection = running.protection
        else:
            protection = await loop.run_in_executor(None, Protection, assembly.configuration)
            undo.push_async_callback(protection.close)
        await assembly.open()
        undo.push_async_callback(assembly.retire)
        sockets = {}
        for address in assembly.listeners:
            if running is not None and address in running.sockets:
                sockets[address] = running.sockets[address]
            else:
                sockets[address] = listen(*address)
                undo.callback(sockets[address].close)
        undo.pop_all()
    return Generation(assembly, protection, audit, sockets)
