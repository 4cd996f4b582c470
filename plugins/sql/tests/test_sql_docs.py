"""docs/sql.md is what the code does: its configuration lets its users in, and its keys are the authenticator's."""

from __future__ import annotations

import inspect
import re

import pytest

import dicomgate_sql
from dicomgate import Accept, Reject
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.pages import DOCS, authenticators, blocks, rows, section, text
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import REFUSED_IDENTITY, log_in, login
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_sql import Sql
from dicomgate_sql.account import COLUMNS
from plugins.sql.tests.backend import Backend, answers, cheap_hash

PAGE = DOCS / "sql.md"


def schema() -> str:
    (found,) = [block.text for block in blocks(PAGE, "sql") if "CREATE TABLE" in block.text]
    return found


def query() -> str:
    (found,) = [block.text for block in blocks(PAGE, "sql") if "CREATE TABLE" not in block.text]
    return found


def test_the_configuration_of_the_page_lets_its_users_in(sqlite_backend: Backend, gateway: StartGateway) -> None:
    table, _ = authenticators(PAGE)
    assert table["file"] == sqlite_backend.options["file"].name
    sqlite_backend.execute("DROP TABLE users")
    sqlite_backend.execute(schema())
    sqlite_backend.put("alice", cheap_hash(ALICE), "ct, radiology", False)
    with Spy([accept_all, RELEASE_RP]) as spy:
        # Each gateway of these tests has a folder of its own, beside the database.
        table |= {"file": f"../{table['file']}", "timeout": "20s"}
        running = gateway({**configuration(spy.address), "authenticator": [table]})
        assert log_in(running.address, [login("alice", ALICE)])[0] == 2
        assert log_in(running.address, [login("alice", WRONG)]) == REFUSED_IDENTITY
        (accepted,) = running.wait_for("Decided", outcome="accept")
        wait_until(lambda: not sqlite_backend.is_outdated("alice"), "the renewal")
    assert (accepted["user"], accepted["groups"], accepted["authenticator"]) == ("alice", ["ct", "radiology"], "staff")


@pytest.mark.anyio
async def test_the_same_users_in_postgresql(postgresql_backend: Backend) -> None:
    with_sqlite, with_postgresql = authenticators(PAGE)
    assert set(with_postgresql) <= set(inspect.signature(Sql).parameters) | {"use", "name"}
    assert with_postgresql["select"] == with_sqlite["select"]
    (rights,) = re.findall(r"`(GRANT [^`]*)`", text(PAGE))
    postgresql_backend.execute(f"DROP TABLE users; {schema()} {rights.replace('TO dicomgate', 'TO gate')}")
    postgresql_backend.put("alice", cheap_hash(), "ct", False)
    sql = postgresql_backend.make(select=with_postgresql["select"], update=with_sqlite["update"])
    assert await answers(sql, ("alice", b"secret")) == [Accept("alice", frozenset({"ct"}))]
    assert not postgresql_backend.is_outdated("alice")


@pytest.mark.anyio
async def test_the_query_of_the_page_is_lawful_and_works(backend: Backend) -> None:
    backend.execute("DROP TABLE users")
    for table in ("people", "memberships"):
        backend.execute(f"DROP TABLE IF EXISTS {table}")
    backend.execute("CREATE TABLE people (id INTEGER, login TEXT, password_hash TEXT, blocked_since DATE)")
    backend.execute("CREATE TABLE memberships (person INTEGER, role TEXT)")
    backend.execute(f"INSERT INTO people VALUES (1, 'ann', '{cheap_hash()}', NULL)")  # noqa: S608
    backend.execute(f"INSERT INTO people VALUES (2, 'ben', '{cheap_hash()}', '2026-01-31')")  # noqa: S608
    backend.execute(f"INSERT INTO people VALUES (3, 'cem', '{cheap_hash()}', NULL)")  # noqa: S608
    backend.execute("INSERT INTO memberships VALUES (1, 'ct'), (1, 'mr'), (2, 'ct')")
    if "url" in backend.options:
        backend.execute("GRANT SELECT ON people, memberships TO gate")
    assert await answers(backend.make(select=query()), ("ann", b"secret"), ("ben", b"secret"), ("cem", b"secret")) == [
        Accept("ann", frozenset({"ct", "mr"})),
        Reject("the user cannot log in: disabled"),
        Accept("cem"),
    ]


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_sql
    keys = (Keys(Sql, under="Configuration"),)


def test_every_column_is_documented() -> None:
    documented = [row[0].strip("`") for row in rows(section(PAGE, "The statement"))]
    assert sorted(documented) == sorted(COLUMNS)
