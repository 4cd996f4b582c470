"""A real OpenID provider, and the gateways and peers of tests/system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomgate.testing.peers.orthanc import orthanc, running_orthanc  # noqa: F401 (fixtures)
from plugins.jwt.tests.provider import OidcProvider, run_provider
from tests.system.gateways import evidence, gateway  # noqa: F401 (fixtures)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def oidc_provider(tmp_path: Path) -> Iterator[OidcProvider]:
    """A provider for one test, which may stop it and rotate its keys."""
    folder = tmp_path / "oidc-provider"
    folder.mkdir()
    with run_provider(folder) as running:
        yield running
