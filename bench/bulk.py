"""Bulk data of one association: GB/s and CPU for each GB, by the length of the PDUs."""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path

from .contestants import DIRECT, HAPROXY, HAPROXY_256, Contestant, left_out, make_certificate, relays
from .load import send_bulk
from .messages import bulk_block
from .pacs import pacs
from .results import Bar, Comparison, Options, Sample, interleave

KIB = 1024
_BARS = {
    16 * KIB: (Bar(against=HAPROXY, least=1.4), Bar(against=HAPROXY_256, least=0.9), Bar("cpu", HAPROXY_256, most=1.2)),
    128 * KIB: (Bar(against=HAPROXY, least=1.4), Bar(against=HAPROXY_256, least=1), Bar("cpu", HAPROXY_256, most=0.8)),
}


def run(options: Options, folder: Path) -> list[Comparison]:
    """Plain TCP, with PDUs of 16 KiB and of 128 KiB."""
    total = 64 << 20 if options.quick else 3 << 30
    comparisons = []
    with pacs(folder, make_certificate(folder)) as server, relays(folder, server.port) as contestants:
        for length, bars in _BARS.items():
            comparisons.append(compare(f"PDUs of {length // KIB} KiB", contestants, length, total, bars, options))
    return comparisons


def compare(
    title: str,
    contestants: dict[str, Contestant],
    length: int,
    total: int,
    bars: tuple[Bar, ...],
    options: Options,
    context: ssl.SSLContext | None = None,
) -> Comparison:
    """Send `total` bytes in PDUs of `length` through each contestant in each round."""
    block = bulk_block(length)
    take = {name: partial(_take, contestant, block, total // len(block), context)
            for name, contestant in contestants.items()}  # fmt: skip
    rounds = interleave(take, options.rounds)
    comparison = Comparison(title, "GB/s", rounds, (HAPROXY, HAPROXY_256), "s/GB", bars, left_out())
    fastest = max(comparison.median(name) or 0 for name in contestants if name != DIRECT)
    limit = (comparison.median(DIRECT) or 0) / fastest
    note = f"The generator and the server alone (direct) are {limit:.2f} times as fast as the fastest relay."
    return Comparison(title, "GB/s", rounds, (HAPROXY, HAPROXY_256), "s/GB", bars, (note, *left_out()))


def _take(contestant: Contestant, block: bytes, count: int, context: ssl.SSLContext | None) -> Sample:
    contestant.check()
    gigabytes = len(block) * count / 1e9
    before = contestant.cpu()
    seconds = send_bulk(contestant.port, block, count, context)
    cpu = (contestant.cpu() - before) / gigabytes if contestant.process else None
    return Sample(gigabytes / seconds, cpu)
