"""Gateways and an Orthanc."""

from __future__ import annotations

from dicomgate.testing.fixtures import evidence, gateway, orthanc, running_orthanc  # noqa: F401 (fixtures)  # noqa: F401 (fixtures)
