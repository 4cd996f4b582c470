"""Gateways, a PACS and certificates; and no thread is left after a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dicomgate.testing.fixtures import gateway, install_authenticator, pacs

__all__ = ["gateway", "install_authenticator", "no_thread_is_left", "pacs"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """What a test starts, it ends: threads of ours, of pynetdicom, and of the state."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.name.startswith("hung")]
    for thread in left:
        thread.join(timeout=10)
    assert not [thread for thread in left if thread.is_alive()]
