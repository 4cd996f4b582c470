"""What `dicomgate doctor` finds: programs, limits, files, certificates, state, refusals.

Each function yields lines, and may raise what a look at the system raises.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import resource
import stat
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import __version__
from ..auth import loading
from ..auth.kind import AUTHENTICATORS
from ..config.load import Configuration
from ..credentials.table import CREDENTIALS
from ..errors import ConfigError
from ..events.events import ReasonClass
from ..events.log import quoted
from ..kit.accounts import group_name, user_name
from ..kit.certificates import described, read_certificates
from ..net.tls_context import LIBRARY
from ..run.named_files import named_files
from ..run.protection import configured_state
from ..state.damage import verdict_on

_LIBRARIES = ("cryptography", "pydantic", "pydantic-core", "typer", "redis", "httpx2", "PyJWT", "python-ldap", "pyrad")
_MOST_REFUSALS = 50
_BY_ITS_COUNTER = (ReasonClass.THROTTLED.value, ReasonClass.LOCKED.value)
_IN_QUOTES = re.compile(r"""(?:\bb|(?<!\w))'[^']*'?|"[^"]*"?""")
"""In a reason: a name as Python writes it, which may be that of a certificate or token, or one that is not UTF-8."""
_TAIL = 4_194_304
"""Bytes of the audit that are looked through, from its end."""


def versions() -> Iterator[str]:
    """Of the gateway, its authenticators, the libraries that they use, and the system."""
    yield f"dicomgate {__version__}"
    for kind in (AUTHENTICATORS, CREDENTIALS):
        for name, point in loading.installed(kind).items():
            yield f"{kind.word} {name}: {f'{point.dist.name} {point.dist.version}' if point.dist else 'unknown'}"
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"
    yield f"Python {platform.python_version()} ({platform.python_implementation()}), {LIBRARY}"
    yield f"{_distribution()}, {platform.system()} {platform.release()} {platform.machine()}"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def limits() -> Iterator[str]:
    """Of this process: those of the service may be others."""
    for name, which in (("open files", resource.RLIMIT_NOFILE), ("address space", resource.RLIMIT_AS)):
        soft, hard = ("unlimited" if one == resource.RLIM_INFINITY else one for one in resource.getrlimit(which))
        yield f"{name}: soft {soft}, hard {hard}"
    yield f"processors: {len(os.sched_getaffinity(0))}"


def files(configuration: Configuration) -> Iterator[str]:
    """The files that are named, with mode, owner and size, and whether this user may read them."""
    for key, path in named_files(configuration):
        try:
            found = path.stat()
        except OSError as error:
            yield f"{key}: {path}: {error.strerror}"
            continue
        readable = "readable" if os.access(path, os.R_OK, effective_ids=True) else "not readable"
        owner = f"{user_name(found.st_uid)}:{group_name(found.st_gid)}"
        yield f"{key}: {path}: {stat.filemode(found.st_mode)} {owner}, {found.st_size} bytes, {readable}"


def certificates(configuration: Configuration) -> Iterator[str]:
    """The certificates in the files that are named: names and dates."""
    for key, path in named_files(configuration):
        with suppress(ConfigError):
            for one in read_certificates(path):
                yield f"{key}: {path}: {described(one)}"


def state(configuration: Configuration) -> Iterator[str]:
    """How much is counted, how large the file is, and whether it is whole."""
    table = configuration.tables.state
    path = configuration.folder / table.path
    if table.url is None:
        if not path.exists():
            yield f"{path}: does not exist; the gateway makes it when it starts"
            return
        yield f"{path}: {path.stat().st_size} bytes, {verdict_on(path)}"
    opened = configured_state(configuration)

    async def count() -> str:
        try:
            counts = await opened.counters()
        finally:
            await opened.close()
        return f"{len(counts)} counters, {sum(count.locked for count in counts)} of them locked"

    yield asyncio.run(count())


def refusals(configuration: Configuration) -> Iterator[str]:
    """The last refusals in the audit, the oldest first; without the names that clients claim."""
    tables = configuration.tables
    name = next(filter(None, (tables.gateway.audit, *(table.to.path for table in tables.audit))), None)
    if name is None:
        yield "the audit is not in a file"
        return
    with (configuration.folder / name).open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        lines = file.read(_TAIL).split(b"\n")
    found = [line for line in lines if line.startswith(b'{"event": "Refused"')][-_MOST_REFUSALS:]
    for line in found:
        with suppress(ValueError):
            record = json.loads(line)
            yield (
                f"{record.get('time')} {record.get('address')} {record.get('listener')} "
                f"{quoted(str(record.get('calling_ae_title')))} -> {quoted(str(record.get('called_ae_title')))} "
                f"type {record.get('identity_type')}: {record.get('reason_class')}: {_without_names(record)}; "
                f"{record.get('answer')}"
            )


def _without_names(record: dict[str, Any]) -> str:
    """The reason without the claimed name, which may be a passcode that somebody typed into the wrong field."""
    reason, claimed = str(record.get("reason")), record.get("claimed")
    if record.get("reason_class") in _BY_ITS_COUNTER:
        return "(the name of a counter is that of its account)"
    if claimed:
        reason = reason.replace(str(claimed), "(name)")
    return _IN_QUOTES.sub("'(name)'", reason)
