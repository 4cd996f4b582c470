"""The gateways and the real peers of dicomgate.testing."""

from dicomgate.testing.fixtures import (  # noqa: F401 (fixtures)
    certificates,
    evidence,
    gateway,
    pacs,
    spy,
)
