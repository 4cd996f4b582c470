"""The `[[authenticator]]` and `[[credential]]` tables -> what the gateway asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..auth import loading
from ..auth.groups import GroupSource
from ..auth.link import Link
from ..auth.table import AuthenticatorTable
from ..config.load import Configuration
from ..contract import Authenticator
from ..credentials.link import CredentialLink
from ..credentials.table import CREDENTIALS
from ..errors import ConfigError, Problem


def make_links(configuration: Configuration, problems: list[Problem]) -> dict[str, Link]:
    """The configured authenticators by name, in their order. Problems with any of them are added to `problems`."""
    tables = configuration.tables.authenticator
    made: dict[str, Authenticator] = {}
    links = {}
    for index, table in enumerate(tables):
        try:
            made[table.title] = loading.make(table.use, table.options, configuration.folder)
        except ConfigError as error:
            problems += configuration.located(error, "authenticator", index).problems
    for index, table in enumerate(tables):
        try:
            if table.title in made:
                links[table.title] = Link(
                    table.title,
                    made[table.title],
                    deadline=table.timeout,
                    patience=table.patience,
                    workers=table.workers,
                    next_on_error=table.on_error == "next",
                    groups_from=_group_source(table, tables, made),
                    revalidate=table.revalidate,
                    end_if_unavailable=table.on_unavailable == "end",
                )
        except ConfigError as error:
            problems += configuration.located(error, "authenticator", index).problems
    return links


def _group_source(
    table: AuthenticatorTable, tables: Sequence[AuthenticatorTable], made: Mapping[str, Authenticator]
) -> GroupSource | None:
    if table.groups_from is None:
        return None
    named = next((other for other in tables if other.title == table.groups_from and other is not table), None)
    if named is None:
        raise ConfigError([Problem(("groups_from",), f"no other authenticator is called {table.groups_from!r}")])
    if named.title not in made:
        return None  # its own problem is already reported
    return GroupSource(named.title, made[named.title], named.timeout.total_seconds())


def make_credentials(configuration: Configuration, problems: list[Problem]) -> dict[str, CredentialLink]:
    """The configured credentials by name. Problems with any of them are added to `problems`."""
    made = {}
    for index, table in enumerate(configuration.tables.credential):
        try:
            credential = loading.make(table.use, table.options, configuration.folder, CREDENTIALS)
            made[table.title] = CredentialLink(table.title, credential, deadline=table.timeout, workers=table.workers)
        except ConfigError as error:
            problems += configuration.located(error, "credential", index).problems
    return made
