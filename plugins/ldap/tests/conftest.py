"""A real slapd, its certificates, and gateways. Without bonsai all of it is skipped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Attempt, Decision
from dicomgate.testing.fixtures import evidence, gateway, install_authenticator, spy  # noqa: F401 (fixtures)
from plugins.ldap.tests.authorities import Authorities, make_authorities
from plugins.ldap.tests.slapd import Slapd, run_slapd

_MOST_ENTERED = 3
Decided = Callable[..., list[Decision]]


class _NotToBeImported(pytest.Module):
    def collect(self) -> list[pytest.Item]:
        pytest.skip(
            "bonsai is not installed: apt-get install gcc python3-dev libldap2-dev libsasl2-dev, then "
            "pip install -e plugins/ldap",
            allow_module_level=True,
        )


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip the modules here, before they import bonsai, and say why."""
    return None if find_spec("bonsai") else _NotToBeImported.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return make_authorities(tmp_path_factory.mktemp("authorities"))


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory, authorities: Authorities) -> Iterator[Slapd]:
    """One server for all tests that leave it as it is."""
    with run_slapd(tmp_path_factory.mktemp("slapd"), authorities) as running:
        yield running


@pytest.fixture
def own_slapd(tmp_path: Path, authorities: Authorities) -> Iterator[Slapd]:
    """A server for one test, which may stop it, hang it or change it."""
    folder = tmp_path / "slapd"
    folder.mkdir()
    with run_slapd(folder, authorities) as running:
        yield running
        running.resume()


@pytest.fixture(scope="module")
def decided() -> Iterator[Decided]:
    """Give a function that returns what an `Ldap` with these keys decides of these attempts, all asked at once.

    Each is made and entered when it is first asked for. The last few stay: each has processes of its own.
    """
    from dicomgate_ldap import Ldap
    from dicomgate_ldap.floor import Floor

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="decided")
    thread.start()
    entered: dict[str, Ldap] = {}

    def do(what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, loop).result(timeout=60)

    async def ask(keys: dict[str, Any], attempts: tuple[Attempt, ...]) -> list[Decision]:
        if repr(keys) not in entered:
            if len(entered) == _MOST_ENTERED:
                await entered.pop(next(iter(entered))).__aexit__(None, None, None)
            ldap = Ldap(**{"connections": 2, **keys})
            ldap._floor = Floor(most=0.0)  # what is decided does not depend on it
            entered[repr(keys)] = await ldap.__aenter__()
        return list(await asyncio.gather(*map(entered[repr(keys)].authenticate, attempts)))

    yield lambda keys, *attempts: do(ask(keys, attempts))
    for ldap in entered.values():
        do(ldap.__aexit__(None, None, None))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
