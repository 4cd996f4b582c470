"""The pytest plugin: a fixture `gateway` that starts gateways with an authenticator of yours.

    pytest_plugins = ["dicomgate.testing.plugin"]      # in the test file

    def test_alice_logs_in(gateway, tmp_path):
        gate = gateway(Ward, file=tmp_path / "users")
        assert gate.echo(passcode("alice", "correct horse")).user == "alice"

It is no entry point: other tests in an environment with dicomgate do not load it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from ..auth import loading as discovery
from .gateway import NOTHING, Gateway, StartGateway, Table


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartGateway]:
    """Start gateways: `gateway(Ward, file=...)`, `gateway("ward", file=...)` or `gateway(Ward(...))`."""
    find = discovery.find
    given: dict[str, Callable[..., object]] = {}
    monkeypatch.setattr(discovery, "find", lambda use, *kind: given.get(use) or find(use, *kind))
    with ExitStack() as running:
        count = 0

        def start(authenticator: object, /, *, listener: Table = NOTHING, **keys: Any) -> Gateway:
            nonlocal count
            count += 1
            if isinstance(authenticator, str):
                use = authenticator
            else:
                made = hasattr(authenticator, "authenticate") and not inspect.isclass(authenticator)
                use = getattr(authenticator, "__name__", type(authenticator).__name__).lower()
                given[use] = (lambda: authenticator) if made else cast(Callable[..., object], authenticator)
            return running.enter_context(Gateway(tmp_path, f"gateway-{count}", {"use": use, **keys}, listener))

        yield start
