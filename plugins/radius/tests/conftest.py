"""A real FreeRADIUS, forged ones, and gateways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Attempt, Decision
from dicomgate.testing import attempt, passcode
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.fixtures import gateway, pacs  # noqa: F401 (fixtures)
from dicomgate.testing.peers.freeradius import SECRET, FreeRadius
from dicomgate_radius import Radius
from plugins.radius.tests.forger import Forger, Script

MakeRadius = Callable[..., Radius]
Decide = Callable[..., Awaitable[Decision]]


@pytest.fixture(scope="session")
def freeradius(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreeRadius]:
    """One server for all tests that leave it as it is."""
    with FreeRadius(tmp_path_factory.mktemp("freeradius") / "raddb") as running:
        yield running


@pytest.fixture
def own_freeradius(tmp_path: Path) -> Iterator[FreeRadius]:
    """A server for one test, which may stop it and make it hang."""
    with FreeRadius(tmp_path / "own-raddb") as running:
        yield running


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "radius.secret"
    path.touch(mode=0o600)
    path.write_bytes(SECRET + b"\n")
    return path


@pytest.fixture
def radius(secret_file: Path) -> MakeRadius:
    """Make an authenticator that asks these servers."""

    def radius(*servers: str, seconds: float = 20, **options: Any) -> Radius:
        options = {"secret_file": secret_file, "attempt_timeout": timedelta(seconds=seconds), **options}
        return Radius(servers=list(servers), **options)

    return radius


@pytest.fixture
def decide(radius: MakeRadius) -> Decide:
    """Ask a server that follows this script about one login."""

    async def decide(script: Script) -> Decision:
        with Forger(script) as forger:
            (decision,) = await ask(radius(forger.address), login())
            return decision

    return decide


def login(name: str | bytes = "alice", secret: bytes = ALICE) -> Attempt:
    return attempt(passcode(name, secret))


async def ask(authenticator: Radius, *attempts: Attempt) -> list[Decision]:
    """The answers to these attempts, one after the other, by one authenticator."""
    async with authenticator:
        return [await authenticator.authenticate(one) for one in attempts]
