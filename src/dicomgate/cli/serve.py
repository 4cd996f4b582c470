"""`dicomgate serve`: run the gateway until a signal ends it.

SIGTERM or SIGINT: stop listening, let associations finish, end. The same again: end at once. SIGHUP: read the
configuration again.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from .. import __version__
from ..admin.serving import serve_operators
from ..errors import ConfigError, StartError
from ..events.events import Operated
from ..net.inherited import inherited
from ..net.loop import Loop
from ..run.changes import reload_on_change
from ..run.server import Server
from ..run.systemd import Announcer, manager_of
from .exit_status import CANNOT, WRONG, abandon
from .logs import Format, JsonFormatter, Level, TextFormatter, configure
from .options import DEFAULT_CONFIG, ConfigOption
from .stderr import QueueHandler, nothing_but_the_log

_log = logging.getLogger("dicomgate.serve")
_PATIENCE = 1.0  # seconds, for a reload that is under way, and for tasks that authenticators left
_THREADS = "dicomgate"
_Result = TypeVar("_Result")


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    log_level: Annotated[Level, typer.Option(help="The lowest level that is logged to standard error.")] = Level.INFO,
    log_format: Annotated[Format, typer.Option(help="Plain lines, or one JSON object per line.")] = Format.TEXT,
) -> None:
    """Run the gateway.

    SIGTERM and SIGINT let associations finish (drain_timeout), a second one
    ends them at once; SIGHUP reloads the configuration.

    Exit status: 0 ended by a signal, 2 the configuration is wrong,
    3 it cannot start (a port in use).
    """
    configure(log_level, JsonFormatter() if log_format is Format.JSON else TextFormatter(), QueueHandler())
    _log.info("dicomgate %s, configuration %s", __version__, config)
    try:
        with nothing_but_the_log(), asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_run(config))
    except (ConfigError, StartError) as error:
        # To the log, so that each line has the log's format.
        for line in str(error).splitlines():
            _log.error("%s", line)
        raise typer.Exit(WRONG if isinstance(error, ConfigError) else CANNOT) from None
    except Exception:  # noqa: BLE001 (a traceback would go to standard error directly, and wait for whoever reads it)
        _log.exception("a defect ends the gateway")
        raise typer.Exit(CANNOT) from None


async def _run(path: Path) -> None:
    loop = asyncio.get_running_loop()
    manager = manager_of(os.environ)
    executor = ThreadPoolExecutor(thread_name_prefix=_THREADS)
    loop.set_default_executor(executor)
    hangups, ends = asyncio.Event(), asyncio.Queue[str]()
    # Before the start: as process 1 of a container, a signal without a handler would be lost.
    loop.add_signal_handler(signal.SIGHUP, hangups.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ends.put_nowait, number.name)
    began = time.time_ns()
    starting = asyncio.create_task(Server.start(path, inherited(os.environ)))
    if not await _until_told(starting, ends):
        server = starting.result()
        # What exists now stays: the garbage collector need not scan it again after every few associations.
        gc.freeze()
        operators = await serve_operators(server, partial(ends.put_nowait, "asked to drain"))
        if manager is not None:
            Announcer(server, manager)
        reloads = {
            asyncio.create_task(_reload_at(hangups, server)),
            asyncio.create_task(reload_on_change(server, partial(_reload, server, "reload_on_change"), began)),
        }
        _log.info("%s: draining", await ends.get())
        for task in reloads:
            task.cancel()
        await asyncio.wait(reloads, timeout=_PATIENCE)
        if again := await _until_told(asyncio.create_task(server.drain()), ends):
            _log.warning("%s again: ending at once", again)
            await server.stop()
        await operators.close()
    _log.info("ended")
    await _let_go(executor)


async def _let_go(executor: ThreadPoolExecutor) -> None:
    """End the remaining tasks, or the process if they do not end: asyncio and the interpreter would wait for ever.

    An authenticator may hang in a thread while it is made, or in a task that takes no cancellation.
    """
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    hanging = bool(tasks) and bool((await asyncio.wait(tasks, timeout=_PATIENCE))[1])
    executor.shutdown(wait=False, cancel_futures=True)
    until = time.monotonic() + _PATIENCE
    for thread in threading.enumerate():
        if thread.name.startswith(_THREADS):
            thread.join(max(0, until - time.monotonic()))
            hanging |= thread.is_alive()
    if hanging:
        _log.error("a task or thread of an authenticator does not end; the process ends without it")
        abandon(0)


async def _reload_at(hangups: asyncio.Event, server: Server) -> None:
    while await hangups.wait():
        hangups.clear()
        await _reload(server, "SIGHUP")


async def _reload(server: Server, by: str, reason: str = "") -> None:
    """Reload, and tell the auditors by what and why."""
    try:
        problems = await server.reload()
        # The log has it already.
        deed = Operated(datetime.now(UTC), "reload", "", by, reason, "; ".join(problems))
        server.generation.audit.operated(deed)
    except Exception:  # noqa: BLE001 (a defect, but the next reload may go well, and associations are under way)
        _log.exception("reload: a defect; the old configuration stays in use")


async def _until_told(task: asyncio.Task[_Result], ends: asyncio.Queue[str]) -> str:
    """Wait for the task: "" when it is done. Or the name of the signal that came first; the task is cancelled then."""
    told = asyncio.create_task(ends.get())
    await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        told.cancel()
        task.result()
        return ""
    task.cancel()
    await asyncio.wait({task})
    return told.result()
