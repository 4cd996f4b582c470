"""Debian's Prometheus, which scrapes one address often; and its promtool."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from .loopback import HOST, free_port
from .process import Service, require

_CONFIGURATION = """\
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: ["{rules}"]
scrape_configs: [{{job_name: dicomgate, static_configs: [{{targets: ["{target}"]}}]}}]
"""


class Prometheus:
    """A server that runs."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers, without the envelope. Raises HTTPError for what it does not take."""
        with urlopen(f"http://{HOST}:{self._port}/api/v1/{path}?{urlencode(parameters)}", timeout=20) as answer:
            return json.load(answer)["data"]

    def value(self, query: str) -> float | None:
        """The value of a query with one result; None if there is none."""
        result = self.get("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None


@contextmanager
def run_prometheus(folder: Path, target: str, rules: Path) -> Iterator[Prometheus]:
    """Run one that scrapes `http://target/metrics`, until the block ends; skip where there is none."""
    program, port = require("prometheus", "prometheus"), free_port()
    configuration = folder / "prometheus.yml"
    configuration.write_text(_CONFIGURATION.format(rules=rules, target=target))
    options = f"--config.file={configuration} --storage.tsdb.path={folder / 'tsdb'} --web.listen-address={HOST}:{port}"
    with Service([program, *options.split()], log=folder / "prometheus.log", ports=[port]):
        yield Prometheus(port)


def promtool(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run it, with this on its standard input; skip where there is none."""
    program = require("promtool", "prometheus")
    return subprocess.run([program, *arguments], input=given, capture_output=True, timeout=60, check=False)
