"""Hundreds of examples of what tests/wire, tests/association and tests/rights have by name."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _unmeasured(unmeasured: None) -> None:
    """Their coverage is that of those tests."""
