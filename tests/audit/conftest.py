"""The fixtures of these tests."""

from dicomgate.testing.fixtures import gateway, spy  # noqa: F401
