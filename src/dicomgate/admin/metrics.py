"""The metrics: what each is called, what its labels are, and what it says.

docs/metrics.md has the same table.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

_OF_ANY_PROCESS = "process_"


class Metric(NamedTuple):
    """`name` is without the prefix `dicomgate_`, and that of a counter without `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    says: str

    @property
    def family(self) -> str:
        """Its name with the prefix. Those of a process have the names that they have in every program."""
        return self.name if self.name.startswith(_OF_ANY_PROCESS) else f"dicomgate_{self.name}"


METRICS = (
    Metric("build_info", "gauge", ("version", "python"), "Always 1."),
    Metric(
        "config_generation", "gauge", (), "Which configuration is in use: 1 at the start, one more with each reload."
    ),
    Metric("config_last_reload_successful", "gauge", (), "0 if the last reload failed, 1 otherwise."),
    Metric("config_last_reload_success_timestamp_seconds", "gauge", (), "Since when this configuration is in use."),
    Metric("config_reloads", "counter", ("result",), "Reloads: success or failure."),
    Metric("draining", "gauge", (), "1 while the gateway takes no new associations, because it is to end."),
    Metric("connections", "counter", ("listener",), "Connections whose client has sent something."),
    Metric(
        "connections_turned_away",
        "counter",
        ("limit",),
        "Connections closed unanswered, by the key of the limit that they met.",
    ),
    Metric(
        "decisions",
        "counter",
        ("listener", "authenticator", "identity_type", "outcome"),
        "Answers to logins: accept, reject, nobody (no authenticator claims it), unavailable.",
    ),
    Metric(
        "decision_seconds", "histogram", ("authenticator",), "From the first byte of a request to the decision on it."
    ),
    Metric("refusals", "counter", ("listener", "answer", "reason_class"), "Associations that were refused."),
    Metric(
        "denials",
        "counter",
        ("listener", "rules"),
        "Kinds of requests that no rule grants: enforce (refused) or report (went on).",
    ),
    Metric("associations", "gauge", ("listener", "upstream"), "Associations under way."),
    Metric("associations_unauthenticated", "gauge", (), "Associations that have not logged in yet."),
    Metric("associations_limit", "gauge", ("limit",), "How many there may be, by the key of [gateway]."),
    Metric("associations_established", "counter", ("listener", "upstream"), "Associations that were established."),
    Metric("associations_closed", "counter", ("upstream", "cause"), "Associations that have ended."),
    Metric("association_seconds", "histogram", ("upstream",), "How long established associations lasted."),
    Metric("establish_seconds", "histogram", ("upstream",), "From the first byte of a request to the A-ASSOCIATE-AC."),
    Metric("relayed_bytes", "counter", ("upstream", "direction"), "Bytes relayed, with those of live associations."),
    Metric("relayed_pdus", "counter", ("upstream", "direction"), "P-DATA-TF PDUs relayed, with live associations."),
    Metric("upstream_up", "gauge", ("upstream",), "0 if the last association that asked for it could not reach it."),
    Metric("upstream_connect_seconds", "histogram", ("upstream",), "How long it took to connect, TLS included."),
    Metric("upstream_failures", "counter", ("upstream", "reason_class"), "Logins that ended at the upstream."),
    Metric(
        "upstream_address_up",
        "gauge",
        ("upstream", "address"),
        "Of several addresses: 0 if it is down, or an operator has taken it out.",
    ),
    Metric("upstream_address_associations", "gauge", ("upstream", "address"), "Associations at one of several."),
    Metric(
        "upstream_address_failures",
        "counter",
        ("upstream", "address"),
        "Checks and associations that one of several addresses did not answer.",
    ),
    Metric(
        "upstream_address_check_seconds",
        "gauge",
        ("upstream", "address"),
        "How long the last check of one of several addresses took.",
    ),
    Metric("state_up", "gauge", (), "0 if the shared state did not answer its last question."),
    Metric("state_seconds", "histogram", ("operation",), "How long the shared state took, failures included."),
    Metric("state_errors", "counter", ("operation",), "Questions that the shared state did not answer."),
    Metric("audit_sink_up", "gauge", ("sink",), "0 while audit records cannot be written, or not be delivered."),
    Metric("audit_records", "counter", ("sink",), "Audit records that came to this sink, or messages to its spool."),
    Metric("audit_lost", "counter", ("sink",), "Audit records that are lost."),
    Metric("audit_spool_records", "gauge", ("sink",), "Messages that wait for the collector."),
    Metric("audit_spool_bytes", "gauge", ("sink",), "The size of the spool."),
    Metric("audit_spool_oldest_timestamp_seconds", "gauge", ("sink",), "The oldest message that waits; 0 for none."),
    Metric("certificate_not_after_timestamp_seconds", "gauge", ("use", "name"), "When a certificate in a file ends."),
    Metric("event_loop_lag_seconds", "histogram", (), "How late the gateway's loop is, looked at 4 times a second."),
    Metric("process_cpu_seconds", "counter", (), "Seconds of processor time, in user and system mode."),
    Metric("process_resident_memory_bytes", "gauge", (), "Memory in use."),
    Metric("process_start_time_seconds", "gauge", (), "When the gateway started."),
)
BY_NAME = {metric.name: metric for metric in METRICS}
