"""Users who leave: what the database says of them later, and what the gateway does then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Decision, Reject, Unavailable
from dicomgate.testing import attempt, passcode
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ABORT, RawClient, login, p_data, request
from dicomgate.testing.system_gateway import StartGateway, configuration
from plugins.sql.tests.backend import Backend, cheap_hash

BY_MAIL = "SELECT name, hash, disabled FROM users WHERE name || '@hospital' = :name"


@pytest.mark.anyio
async def test_what_the_database_says_of_a_user_who_has_logged_in(backend: Backend) -> None:
    async with backend.make() as sql:
        assert await sql.still_valid("alice", None) == Accept("alice")
        backend.execute(f"UPDATE users SET hash = '{cheap_hash(b'another')}' WHERE name = 'alice'")  # noqa: S608
        assert await sql.still_valid("alice", None) == Accept("alice"), "a new passcode ends nothing"
        assert await sql.still_valid("bert", None) == Reject("the user cannot log in: disabled")
        assert await sql.still_valid("zoe", None) == Reject("unknown user")
        backend.execute("DROP TABLE users")
        gone = await sql.still_valid("alice", None)
        assert isinstance(gone, Unavailable)
        assert gone.reason.startswith("the database: ")


@pytest.mark.anyio
async def test_the_name_that_was_typed_is_asked_for(sqlite_backend: Backend) -> None:
    sqlite_backend.put("alice", cheap_hash())
    async with sqlite_backend.make(select=BY_MAIL) as sql:
        accept: Decision = await sql.authenticate(attempt(passcode("alice@hospital", "secret")))
        assert isinstance(accept, Accept)
        assert (accept.user, accept.handle) == ("alice", "alice@hospital")
        assert await sql.still_valid("alice", accept.handle) == Accept("alice")
        assert await sql.still_valid("bob", accept.handle) == Reject("the name is now that of 'alice'")


def test_a_gateway_ends_who_is_removed_and_keeps_all_while_the_database_is_down(
    sqlite_backend: Backend, gateway: StartGateway, tmp_path: Path
) -> None:
    for name in ("alice", "dora"):
        sqlite_backend.put(name, cheap_hash(ALICE))
    file: Any = sqlite_backend.options["file"]
    with Spy([accept_all, b"", RELEASE_RP]) as spy:
        keys = {**sqlite_backend.options, "select": BY_MAIL, "revalidate": "1s"}
        running = gateway(configuration(spy.address, {"use": "sql", "name": "staff", **keys}))
        with RawClient(running.address) as alice, RawClient(running.address) as dora:
            for client, name in ((alice, "alice"), (dora, "dora")):
                assert client.ask(request(login(f"{name}@hospital", ALICE)))[0] == 2
                client.send(p_data(bytes(1000)))
            file.rename(tmp_path / "away")
            wait_until(lambda: "may still log in; they stay connected" in running.log(), "the question failing")
            (tmp_path / "away").rename(file)
            sqlite_backend.execute("DELETE FROM users WHERE name = 'dora'")
            assert dora.pdu() == ABORT
            assert alice.release() == RELEASE_RP
        closed = {one["user"]: (one["cause"], one["detail"]) for one in running.wait_for("Closed", 2)}
    assert closed == {"dora": ("the user was disabled", "staff: unknown user"), "alice": ("released", "")}
