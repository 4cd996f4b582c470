"""The audit that a configuration names: `audit` of `[gateway]`, and the `[[audit]]` tables -> sinks."""

from __future__ import annotations

from pathlib import Path

from ..audit.atna import Atna, AtnaSettings
from ..audit.connection import Collector
from ..audit.datagrams import JOURNAL, Datagrams
from ..audit.json_audit import Audit, Where
from ..audit.sinks import Sink, Sinks
from ..config.audit import AuditTable, AuditTls
from ..config.load import Configuration
from ..errors import ConfigError, Problem
from ..net.tls import TlsContext
from ..net.tls_context import client_context


def open_audit(configuration: Configuration, running: Sinks | None = None) -> Sinks:
    """Open all sinks; may block on their files. `running` is the audit so far; what it has in common is taken over.

    Raises StartError if one cannot be written, ConfigError if the files of its TLS are wrong. Then nothing stays open.
    """
    gateway, tables = configuration.tables.gateway, configuration.tables.audit
    before = () if running is None else running.sinks
    sinks: list[Sink] = []
    required: list[Sink] = []
    try:
        if gateway.audit is not None or not tables:
            path = None if gateway.audit is None else configuration.folder / gateway.audit
            old = next((sink for sink in before if isinstance(sink, Audit) and sink.label == "json"), None)
            sinks.append(Audit(path, gateway.node, running=old))
            required += sinks if gateway.audit_required else ()
        contexts = collectors_tls(configuration)
        for index, table in enumerate(tables):
            sink: Sink
            if index in contexts:
                sink = _atna(configuration, table, contexts[index], before)
            else:
                sink = _json(configuration, table, before)
            sinks.append(sink)
            required += [sink] if table.required else ()
    except BaseException:
        Sinks(sinks).close(running)
        raise
    return Sinks(sinks, required)


def collectors_tls(configuration: Configuration) -> dict[int, TlsContext]:
    """What TLS is to the collectors, by the index of their tables; may block on files. Raises ConfigError."""
    contexts: dict[int, TlsContext] = {}
    problems: list[Problem] = []
    for index, table in enumerate(configuration.tables.audit):
        if table.kind != "atna":
            continue
        tls = table.tls or AuditTls()
        ca, certificate, key = (
            configuration.folder / path if path else None for path in (tls.ca, tls.certificate, tls.key)
        )
        try:
            contexts[index] = client_context(ca, False, certificate, key)
        except ConfigError as error:
            problems += configuration.located(error, "audit", index, "tls").problems
    if problems:
        raise ConfigError(problems)
    return contexts


def _where(configuration: Configuration, table: AuditTable) -> Where:
    """Where a table of kind "json" writes to."""
    match table.to.way:
        case "stdout":
            return None
        case "journald":
            return Datagrams(JOURNAL, configuration.tables.gateway.node)
        case "udp":
            return Datagrams(table.to.address, configuration.tables.gateway.node)
    return configuration.folder / (table.to.path or Path())


def _json(configuration: Configuration, table: AuditTable, before: tuple[Sink, ...]) -> Audit:
    old = next((sink for sink in before if isinstance(sink, Audit) and sink.label == table.title), None)
    return Audit(_where(configuration, table), configuration.tables.gateway.node, running=old, label=table.title)


def _atna(configuration: Configuration, table: AuditTable, context: TlsContext, before: tuple[Sink, ...]) -> Atna:
    host, port = table.to.address
    settings = AtnaSettings(
        label=table.title,
        node=configuration.tables.gateway.node,
        site=table.site,
        message_id=table.message_id,
        mark=table.byte_order_mark,
        collector=Collector(host, port, (table.tls and table.tls.server_name) or host, context),
        spool=configuration.folder / (table.spool or Path()),
        spool_max=table.spool_max,
        drop_oldest=table.spool_full == "drop_oldest",
    )
    same = [old for old in before if isinstance(old, Atna) and old.spool.folder == settings.spool]
    return Atna(settings, running=same[0] if same else None)
