"""A start without listening: what `dicomgate check` tries, in the order of `generation.prepare`.

Rule: nothing is created or changed, and a running gateway does not notice. So the audit and the state are not opened
where opening would make them, and an address is bound, but not listened on.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..audit.json_audit import cannot_be_written
from ..audit.spool_folder import cannot_be_used
from ..config.load import Configuration
from ..errors import ConfigError, StartError
from ..kit.addresses import show_address
from ..kit.files import check_trusted, try_to_write
from ..net.listener import Address, bind
from ..state import open_state
from .assembly import Assembly
from .audits import collectors_tls
from .control_socket import try_to_make


@asynccontextmanager
async def rehearsed(assembly: Assembly) -> AsyncIterator[list[str]]:
    """Try to start with this assembly, and keep its authenticators entered while a `with` lasts.

    Yields a line about each address that is in use: by the running gateway, or by another program. Raises what a start
    would raise: ConfigError and StartError.
    """
    _try_audit(assembly.configuration)
    await _try_state(assembly.configuration)
    await assembly.open()
    try:
        wanted = [*assembly.tables.items(), *([(assembly.page.bind, "[admin]")] if assembly.page else ())]
        busy = [_in_use(address, table) for address, table in wanted if _is_in_use(address, table)]
        _try_control(assembly.configuration)
        yield busy
    finally:
        await assembly.retire()


def _try_audit(configuration: Configuration) -> None:
    tables = configuration.tables
    for name in (tables.gateway.audit, *(table.to.path for table in tables.audit)):
        if name is not None:
            path = configuration.folder / name
            try:
                try_to_write(path)
            except OSError as error:
                raise cannot_be_written(path, error) from error
    collectors_tls(configuration)
    for table in tables.audit:
        if table.spool is not None:
            folder = configuration.folder / table.spool
            try:
                # In the folder, if it is there: a running gateway may use it.
                try_to_write(folder / "try" if folder.exists() else folder)
            except OSError as error:
                raise cannot_be_used(folder, error) from error


async def _try_state(configuration: Configuration) -> None:
    table = configuration.tables.state
    path = configuration.folder / table.path
    try:
        if table.url is not None:
            await open_state(None, table.url).close()
            return
        if path.exists():
            check_trusted(path, folders=False)  # a volume of a container may be open to everybody
        try_to_write(path, beside_it=True)
    except ConfigError as error:
        raise configuration.located(error, "state", "path" if table.url is None else "url") from error
    except OSError as error:
        raise StartError(f"state {path}: cannot be opened: {error.strerror}") from error


def _try_control(configuration: Configuration) -> None:
    if configuration.tables.control is not None:
        try:
            try_to_make(configuration.folder / configuration.tables.control.path)
        except ConfigError as error:
            raise configuration.located(error, "control", "path") from error


def _is_in_use(address: Address, table: str) -> bool:
    try:
        bind(*address, table).close()
    except StartError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            return True
        raise
    return False


def _in_use(address: Address, table: str) -> str:
    return f"{table}: {show_address(*address)} is in use: by the running gateway, or by another program (see ss -ltnp)"
