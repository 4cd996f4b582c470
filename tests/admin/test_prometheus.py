"""Debian's Prometheus scrapes a gateway that is in use, and is asked every question of the rules and the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import pytest

from dicomgate.testing.evidence import ALICE, Evidence
from dicomgate.testing.pages import ROOT
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from dicomgate.testing.peers.prometheus import Prometheus, promtool, run_prometheus
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import RawClient, login, outcome, p_data, request
from dicomgate.testing.system_gateway import Gateway, add_listener, configuration, gateways

RULES = ROOT / "deploy" / "prometheus" / "dicomgate.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dicomgate.json"
METRIC = re.compile(r"\b(?:dicomgate|process)_\w+|\bup\b(?=\{)")
LABELS = re.compile(r"\b(?:by|on) \(([^)]*)\)")
BYTES = 'dicomgate_relayed_bytes_total{upstream="pacs", direction="from_client"}'
LIVE = 'sum(dicomgate_associations{upstream="pacs"})'


@dataclass
class Watched:
    """A gateway, and the Prometheus that scrapes it."""

    gateway: Gateway
    prometheus: Prometheus

    def scraped(self, accept: str) -> tuple[str, bytes]:
        """The media type of the metrics, and the text."""
        asked = Request(f"http://{self.gateway.tables['admin']['bind']}/metrics", headers={"Accept": accept})
        with urlopen(asked, timeout=20) as answer:  # noqa: S310
            return answer.headers.get_content_type(), answer.read()

    def wait_for(self, query: str, value: float) -> None:
        """Return once Prometheus has this value."""
        wait_until(lambda: self.prometheus.value(query) == value, f"{query} = {value}")


@pytest.fixture(scope="module")
def watched(
    evidence: Evidence, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """A gateway with three listeners and two PACS, one of which is down."""
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as running:
        spy = running.enter_context(Spy([accept_all, *[_answer] * 9]))
        tables = configuration(spy.address, upstream={"called_ae_titles": ["ANY-SCP"]})
        add_listener(tables, "reporting", rules="report")
        leaf = certificates.server
        secure = {"certificate": str(leaf.certificate), "key": str(leaf.key)}
        add_listener(tables, "secure", bind="127.0.0.3:0", cleartext_passcodes=False, tls=secure)
        nowhere = {"kind": "atna", "to": f"syslog+tls://{HOST}:{free_port()}", "spool": "spool"}
        tables["audit"] = [nowhere]
        tables["admin"] = {"bind": f"{HOST}:{free_port()}"}
        gone = {"name": "gone", "address": f"{HOST}:{free_port()}", "called_ae_titles": ["GONE"]}
        tables["upstream"].append({**tables["upstream"][0], **gone})
        gateway = running.enter_context(gateways(evidence, folder))(tables)
        yield Watched(gateway, running.enter_context(run_prometheus(folder, tables["admin"]["bind"], RULES)))


def _answer(pdu: bytes) -> bytes:
    return RELEASE_RP if pdu[0] == 5 else b""


def test_the_bytes_of_a_transfer_count_while_it_runs(watched: Watched) -> None:
    with RawClient(watched.gateway.address) as client:
        assert client.ask(request(login("alice", ALICE)))[0] == 2
        sent = 0
        for _ in range(3):
            data = p_data(bytes(10_000))
            client.send(data)
            sent += len(data)
            watched.wait_for(BYTES, sent)
        watched.wait_for(LIVE, 1)
        assert client.release() == RELEASE_RP
    (closed,) = watched.gateway.wait_for("Closed", cause="released")
    assert closed["bytes_from_client"] > sent
    watched.wait_for(LIVE, 0)
    watched.wait_for(BYTES, closed["bytes_from_client"])


def test_prometheus_takes_every_question_of_rules_and_dashboard(watched: Watched) -> None:
    gateway, prometheus = watched.gateway, watched.prometheus
    reporting = list(gateway.server.bound.values())[1]
    assert outcome(gateway.address, login("alice", b"wrong"))[0] == 3
    assert outcome(reporting, login("alice", ALICE))[0] == 2
    with RawClient(gateway.address) as client:
        assert client.ask(request(login("alice", ALICE), called=b"GONE"))[0] == 3
    watched.wait_for('dicomgate_refusals_total{listener="clinical", reason_class="wrong_credential"}', 1)
    watched.wait_for('sum(dicomgate_upstream_up{upstream="gone"})', 0)
    watched.wait_for("sum(dicomgate_denials_total)", 1)

    expressions = [*_of_rules(prometheus), *_of_dashboard()]
    known, labels = set(prometheus.get("label/__name__/values")), set(prometheus.get("labels"))
    assert len(expressions) > 40
    for expression in expressions:
        prometheus.get("query", query=expression)  # it raises for what is no PromQL
        names = METRIC.findall(expression)
        assert names, expression
        assert set(names) <= known, expression
        assert set(re.findall(r"\w+", " ".join(LABELS.findall(expression)))) <= labels, expression
    assert "dicomgate_upstreams_up" not in known
    assert "upstreams" not in labels

    wait_until(lambda: {rule["health"] for rule in _rules(prometheus)} == {"ok"}, "all rules being evaluated")
    wait_until(lambda: "DicomgateUpstreamDown" in _raised(prometheus), "the alert for the PACS that is down")
    unfounded = {"DicomgateDown", "DicomgateStateDown", "DicomgateAuditNotWritten", "DicomgateReloadFailed"}
    assert not _raised(prometheus) & unfounded


def test_each_alert_has_its_section() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    rules = RULES.read_text("utf-8")
    named = dict.fromkeys(re.findall(r"- alert: (\w+)", rules))
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == [*named]
    assert [*dict.fromkeys(re.findall(r"runbook: (.*)", rules))] == [f"docs/metrics.md#{it.lower()}" for it in named]


def _rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def _raised(prometheus: Prometheus) -> set[str]:
    """The alerts that are pending or firing."""
    return {rule["name"] for rule in _rules(prometheus) if rule["state"] != "inactive"}


def _of_rules(prometheus: Prometheus) -> list[str]:
    return [rule["query"] for rule in _rules(prometheus)]


def _of_dashboard() -> Iterator[str]:
    """Its questions, with values for its variables."""

    def found(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (value for key, value in node.items() if key == "expr")
            node = list(node.values())
        if isinstance(node, list):
            for inner in node:
                yield from found(inner)

    for expression in found(json.loads(DASHBOARD.read_text("utf-8"))):
        yield expression.replace("$instance", ".*").replace("$__rate_interval", "1m")


def test_promtool_finds_nothing_in_the_metrics(watched: Watched) -> None:
    kind, data = watched.scraped("text/plain")
    assert kind == "text/plain"
    checked = promtool("check", "metrics", given=data)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert promtool("check", "metrics", given=data.replace(b"# HELP", b"# HALP")).returncode
    # promtool reads no OpenMetrics; Prometheus, which asks for it, does.
    assert watched.scraped("application/openmetrics-text")[0] == "application/openmetrics-text"


def test_promtool_tries_the_rules() -> None:
    checked = promtool("check", "rules", RULES)
    assert (checked.returncode, checked.stderr) == (0, b"")
    tried = promtool("test", "rules", RULES.with_suffix(".test.yml"))
    assert tried.returncode == 0, tried.stdout + tried.stderr
