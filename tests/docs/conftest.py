"""The fixtures of dicomgate.testing that the tests of the pages use."""

from dicomgate.testing.fixtures import certificates  # noqa: F401 (a fixture)
