"""The gateways and an Orthanc of tests/system."""

from __future__ import annotations

from gateways import evidence, gateway  # noqa: F401 (fixtures)
from peers.orthanc import orthanc, running_orthanc  # noqa: F401 (fixtures)
