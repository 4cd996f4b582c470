"""An authenticator, an issuer, a real OpenID provider, and gateways and peers of dicomgate.testing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dicomgate.testing.fixtures import gateway, orthanc, pacs, spy  # noqa: F401
from dicomgate.testing.peers.issuer import Issuer
from dicomgate.testing.peers.oidc_provider import OidcProvider, run_provider
from dicomgate_jwt import Jwt
from plugins.jwt.tests.mint import RSA, authenticator, key_set


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Jwt:
    """The authenticator of an issuer whose keys are in a file, with the defaults."""
    return authenticator(tmp_path_factory.mktemp("jwt"))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that publishes one key."""
    with Issuer() as running:
        running.publish(key_set(RSA))
        yield running


@pytest.fixture(scope="session")
def _running_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    with run_provider(tmp_path_factory.mktemp("oidc-provider")) as running:
        yield running


@pytest.fixture
def oidc_provider(_running_provider: OidcProvider) -> Iterator[OidcProvider]:
    """One provider for all tests. A test may rotate its keys and stop it: it runs again for the next."""
    yield _running_provider
    _running_provider.start()
