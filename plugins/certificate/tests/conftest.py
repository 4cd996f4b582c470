"""Certificates of a real authority, gateways, a spy and an Orthanc."""

from dicomgate.testing.fixtures import certificates, evidence, gateway, orthanc, running_orthanc, spy

__all__ = ["certificates", "evidence", "gateway", "orthanc", "running_orthanc", "spy"]
