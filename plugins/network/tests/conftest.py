"""Gateways, a spy and an Orthanc."""

from dicomgate.testing.fixtures import evidence, gateway, orthanc, running_orthanc, spy

__all__ = ["evidence", "gateway", "orthanc", "running_orthanc", "spy"]
