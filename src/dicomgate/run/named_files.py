"""The files that a configuration names, and the certificates in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from ..auth import loading
from ..auth.kind import AUTHENTICATORS, Kind
from ..auth.table import PluginTable
from ..config.load import Configuration
from ..credentials.table import CREDENTIALS
from ..errors import ConfigError
from ..kit.certificates import name_of, read_certificates


class NamedCertificate(NamedTuple):
    """The certificate in a file that ends first, as it was when that was read; `ends` is aware.

    `use` is the key of the file, such as "listener clinical.tls.certificate"; `name` the subject.
    """

    use: str
    path: Path
    name: str
    ends: datetime


def named_files(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    """Every file that the configuration names, by its key; and the configuration itself."""
    yield from read_files(configuration)
    tables = configuration.tables
    yield from _paths("gateway", tables.gateway, configuration.folder)
    if tables.state.url is None:
        yield "state.path", configuration.folder / tables.state.path
    yield from _paths("control", tables.control, configuration.folder)
    for audit in tables.audit:
        if audit.to.path is not None:
            yield f"audit {audit.title}.to", configuration.folder / audit.to.path


def read_files(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    """Those of them that the gateway reads, and does not write itself."""
    yield "configuration", configuration.path.absolute()
    tables = configuration.tables
    yield from _paths("admin", tables.admin, configuration.folder)
    for audit in tables.audit:
        yield from _paths(f"audit {audit.title}.tls", audit.tls, configuration.folder)
    for key, found in (("listener", tables.listener), ("upstream", tables.upstream)):
        for one in found:
            yield from _paths(f"{key} {one.name}", one, configuration.folder)
    plugins: list[tuple[Kind, PluginTable]] = [(AUTHENTICATORS, table) for table in tables.authenticator]
    plugins += [(CREDENTIALS, table) for table in tables.credential]
    for kind, table in plugins:
        with suppress(ConfigError):  # who makes it says what is wrong
            options = loading.read_options(table.use, table.options, configuration.folder, kind)
            yield from _paths(f"{kind.word} {table.title}", options, configuration.folder)


def named_certificates(configuration: Configuration) -> Iterator[NamedCertificate]:
    """One for each file that has certificates; may block on the files."""
    for key, path in named_files(configuration):
        with suppress(ConfigError):
            first = min(read_certificates(path), key=lambda one: one.not_valid_after_utc)
            yield NamedCertificate(key, path, name_of(first), first.not_valid_after_utc)


def _paths(key: str, value: object, folder: Path) -> Iterator[tuple[str, Path]]:
    if isinstance(value, Path):
        yield key, folder / value
    elif isinstance(value, BaseModel | dict):
        for name, inner in value.items() if isinstance(value, dict) else value:
            yield from _paths(f"{key}.{name}", inner, folder)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths(key, inner, folder)
