"""Bulk data of one association, without answers and as C-STOREs with their responses: GB/s, and CPU for each GB."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .contestants import DIRECT, HAPROXY, HAPROXY_256, Contestant, left_out, make_certificate, relays
from .load import send_bulk, send_stores
from .messages import bulk_block, store_rq
from .pacs import pacs
from .results import Bar, Comparison, Options, Sample, interleave

KIB = 1024
_BARS = {
    16 * KIB: (Bar(against=HAPROXY, least=1.4), Bar(against=HAPROXY_256, least=0.9), Bar("cpu", HAPROXY_256, most=1.2)),
    128 * KIB: (Bar(against=HAPROXY, least=1.4), Bar(against=HAPROXY_256, least=1), Bar("cpu", HAPROXY_256, most=0.8)),
}
_BARS_OF_STORES = (Bar(against=HAPROXY_256, least=1), Bar("cpu", HAPROXY_256, most=1))
_BARS_OF_GREAT_OBJECTS = (Bar(against=HAPROXY_256, least=0.97),)


class Load(NamedTuple):
    """What is sent through each contestant in each round: how much, and how; `send` takes a port, returns seconds."""

    gigabytes: float
    send: Callable[[int], float]


def run(options: Options, folder: Path) -> list[Comparison]:
    """Plain TCP, with PDUs of 16 KiB and of 128 KiB."""
    total, slices, great = (64 << 20, 40, 1) if options.quick else (3 << 30, 4000, 20)
    comparisons = []
    with pacs(folder, make_certificate(folder)) as server, relays(folder, server.port) as contestants:
        for length, bars in _BARS.items():
            title = f"PDUs of {length // KIB} KiB, without answers"
            comparisons.append(compare(title, contestants, blocks(length, total), bars, options))
        for length in _BARS:
            title = f"C-STOREs of 512 KiB, PDUs of {length // KIB} KiB"
            load = stores(512 * KIB, length, slices)
            comparisons.append(compare(title, contestants, load, _BARS_OF_STORES, options))
        load = stores(100 * 10**6, 128 * KIB, great)
        title = "C-STOREs of 100 MB, PDUs of 128 KiB"
        comparisons.append(compare(title, contestants, load, _BARS_OF_GREAT_OBJECTS, options))
    return comparisons


def blocks(length: int, total: int, context: ssl.SSLContext | None = None) -> Load:
    """About `total` bytes in PDUs of `length`, which nobody answers."""
    block = bulk_block(length)
    count = total // len(block)
    return Load(len(block) * count / 1e9, lambda port: send_bulk(port, block, count, context))


def stores(size: int, length: int, count: int) -> Load:
    """So many objects of `size` bytes in PDUs of `length`, each after the response to the one before."""
    request = store_rq(size, length)
    return Load(len(request) * count / 1e9, lambda port: send_stores(port, request, count))


def compare(
    title: str,
    contestants: dict[str, Contestant],
    load: Load,
    bars: tuple[Bar, ...],
    options: Options,
    references: tuple[str, ...] = (HAPROXY, HAPROXY_256),
) -> Comparison:
    """Send it through each contestant in each round."""
    take = {name: partial(_take, contestant, load) for name, contestant in contestants.items()}
    rounds = interleave(take, options.rounds)
    comparison = Comparison(title, "GB/s", rounds, references, "s/GB", bars, left_out())
    fastest = max(comparison.median(name) or 0 for name in contestants if name != DIRECT)
    limit = (comparison.median(DIRECT) or 0) / fastest
    note = f"The generator and the server alone (direct) are {limit:.2f} times as fast as the fastest relay."
    return replace(comparison, notes=(note, *comparison.notes))


def _take(contestant: Contestant, load: Load) -> Sample:
    contestant.check()
    before = contestant.cpu()
    seconds = load.send(contestant.port)
    cpu = (contestant.cpu() - before) / load.gigabytes if contestant.process else None
    return Sample(load.gigabytes / seconds, cpu)
