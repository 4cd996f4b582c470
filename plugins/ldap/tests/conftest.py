"""A real slapd, certificates, and gateways. Without python-ldap all of it is skipped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Attempt, Decision
from dicomgate.testing import attempt, passcode
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.fixtures import gateway, install_authenticator, names, spy, storescp
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.slapd import Slapd, run_slapd

__all__ = ["gateway", "install_authenticator", "names", "spy", "storescp"]

Decided = Callable[..., Awaitable[list[Decision]]]


class _NotToBeImported(pytest.Module):
    def collect(self) -> list[pytest.Item]:
        pytest.skip(
            "python-ldap is not installed: apt-get install gcc python3-dev libldap2-dev libsasl2-dev, then "
            "pip install -e plugins/ldap",
            allow_module_level=True,
        )


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip the modules here, before they import python-ldap, and say why."""
    return None if find_spec("ldap") else _NotToBeImported.from_parent(parent, path=module_path)


@pytest.fixture(autouse=True)
def no_tracebacks_of_asyncio() -> Iterator[None]:
    """In debug mode asyncio logs each broken connection with a traceback, which in a gateway's log is a defect."""

    def other(record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG or not record.exc_info

    logging.getLogger("asyncio").addFilter(other)
    yield
    logging.getLogger("asyncio").removeFilter(other)


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Slapd]:
    """One server for all tests that leave it as it is."""
    with run_slapd(tmp_path_factory.mktemp("slapd"), certificates) as running:
        yield running


@pytest.fixture
def own_slapd(tmp_path: Path, certificates: Certificates) -> Iterator[Slapd]:
    """A server for one test, which may stop it, hang it or change it."""
    folder = tmp_path / "slapd"
    folder.mkdir()
    with run_slapd(folder, certificates) as running:
        yield running


def login(user: str | bytes = "alice", secret: bytes = ALICE) -> Attempt:
    return attempt(passcode(user, secret))


@pytest.fixture
def decided() -> Decided:
    """Give a function that returns what an `Ldap` with these keys decides of these attempts, all asked at once."""
    from dicomgate.kit.equal_time import MeasuredFloor
    from dicomgate_ldap import Ldap

    async def decided(keys: dict[str, Any], *attempts: Attempt) -> list[Decision]:
        ldap = Ldap(**keys)
        ldap._floor = MeasuredFloor(most=0.0)  # what is decided does not depend on it
        async with ldap:
            return list(await asyncio.gather(*map(ldap.authenticate, attempts)))

    return decided
