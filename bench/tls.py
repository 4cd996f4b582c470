"""Bulk data of one association with TLS 1.3 on the client's side, plain TCP to the server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .bulk import KIB, blocks, compare
from .contestants import HAPROXY, HAPROXY_256, Contestant, make_certificate, relays
from .load import connect, tls_context
from .pacs import pacs
from .results import Bar, Comparison, Options

_BARS = (
    Bar(against=HAPROXY, least=0.9),
    Bar(against=HAPROXY_256, least=0.9),
    Bar("cpu", HAPROXY, most=1.25),
    Bar("cpu", HAPROXY_256, most=1.25),
)


def run(options: Options, folder: Path) -> list[Comparison]:
    """PDUs of 16 KiB and of 128 KiB; the same ECDSA certificate for all."""
    total = 32 << 20 if options.quick else 1 << 30
    certificate, context = make_certificate(folder), tls_context()
    comparisons = []
    with (
        pacs(folder, certificate) as server,
        relays(folder, server.port, direct=server.tls_port, certificate=certificate) as contestants,
    ):
        suites = {name: _suite(contestant) for name, contestant in contestants.items()}
        note = "Negotiated: " + "; ".join(f"{name} {suite}" for name, suite in suites.items()) + "."
        if len(set(suites.values())) == 1:
            note = f"All negotiated {next(iter(suites.values()))}."
        for length in (16 * KIB, 128 * KIB):
            title = f"TLS, PDUs of {length // KIB} KiB"
            comparison = compare(title, contestants, blocks(length, total, context), _BARS, options)
            comparisons.append(replace(comparison, notes=(*comparison.notes, note)))
    return comparisons


def _suite(contestant: Contestant) -> str:
    with connect(contestant.port, tls_context()) as connection:
        negotiated = connection.cipher()  # type: ignore[attr-defined]
    return f"{negotiated[1]} {negotiated[0]}"
