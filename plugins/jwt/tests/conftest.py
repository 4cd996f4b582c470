"""A real OpenID provider, and gateways and peers of dicomgate.testing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomgate.testing.fixtures import evidence, gateway, orthanc, pacs, running_orthanc  # noqa: F401
from plugins.jwt.tests.provider import OidcProvider, run_provider


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
