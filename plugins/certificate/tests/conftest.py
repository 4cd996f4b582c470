"""Certificates of a real authority, gateways, a spy and an Orthanc."""

from dicomgate.testing.fixtures import gateway, orthanc, spy

__all__ = ["gateway", "orthanc", "spy"]
