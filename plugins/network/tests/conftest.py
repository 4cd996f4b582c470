"""The gateways and an Orthanc of tests/system."""

from __future__ import annotations

from dicomgate.testing.peers.orthanc import orthanc, running_orthanc  # noqa: F401 (fixtures)
from tests.system.gateways import evidence, gateway  # noqa: F401 (fixtures)
