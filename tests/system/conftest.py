"""The gateways and the real peers of dicomgate.testing."""

from dicomgate.testing.fixtures import gateway, install_authenticator, orthanc, orthanc_tls, pacs, spy, storescp  # noqa: F401 (fixtures)
