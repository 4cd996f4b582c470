"""Fixtures: a fast PACS, a spy, certificates. The gateway is `with GatewayProcess(tmp_path, tables_for(pacs.port))`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.contestants import make_certificate
from bench.pacs import Pacs
from bench.pacs import pacs as running_pacs
from dicomgate.testing.fixtures import spy  # noqa: F401 (fixtures)
from tests.stamina.measure import FULL, reported


@pytest.fixture(autouse=True, scope="module")
def _unmeasured() -> Iterator[None]:
    """What these tests start runs at its own speed: coverage would slow the gateway down by half."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Pacs]:
    """A fast PACS in a process of its own, which knows what bench/messages.py sends."""
    folder = tmp_path / "pacs"
    folder.mkdir()
    with running_pacs(folder, make_certificate(folder)) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that the tests reported."""
    if reported:
        terminalreporter.section(f"stamina, {'full' if FULL else 'small'}")
        for line in reported:
            terminalreporter.line(line)
