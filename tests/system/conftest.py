"""The gateways and the real peers of dicomgate.testing."""

from dicomgate.testing.fixtures import (  # noqa: F401 (fixtures)
    certificates,
    evidence,
    gateway,
    install_authenticator,
    orthanc,
    orthanc_tls,
    pacs,
    running_orthanc,
    running_orthanc_tls,
    spy,
    storescp,
)
