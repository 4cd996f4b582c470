"""storescu to storescp: 2,000 slices of 512 KiB, and 20 objects of 100 MB. TCP_NODELAY=1 for both programs."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .contestants import FORWARDER, HAPROXY, HAPROXY_256, Contestant, left_out, pynetdicom, relays
from .dcmtk import make_great, make_slice, prepare, store, storescp
from .results import Bar, Comparison, Options, Sample, interleave

_BARS = (Bar(against=HAPROXY, least=0.97), Bar(against=HAPROXY_256, least=0.97))
_FEWER = 20
"""The forwarder takes so much longer that it sends only this part of the objects; figures are for each megabyte."""


def run(options: Options, folder: Path) -> list[Comparison]:
    """MB/s of both; the forwarder of pynetdicom for the slices only."""
    prepare()
    slices, great = make_slice(folder), make_great(folder, (10 if options.quick else 100) * 10**6)
    with ExitStack() as stack:
        port = stack.enter_context(storescp(folder, no_delay=True))
        contestants = stack.enter_context(relays(folder, port))
        forwarder = {FORWARDER: stack.enter_context(pynetdicom(folder, FORWARDER, port))}
        many, few = (40, 2) if options.quick else (2000, 20)
        size = great.stat().st_size / 1e6
        return [
            compare(f"{many:,} slices of 512 KiB", contestants | forwarder, slices, many, _BARS, options),
            compare(f"{few} objects of {size:.0f} MB", contestants, great, few, _BARS, options),
        ]


def compare(
    title: str,
    contestants: dict[str, Contestant],
    file: Path,
    count: int,
    bars: tuple[Bar, ...],
    options: Options,
    references: tuple[str, ...] = (HAPROXY, HAPROXY_256),
    *,
    no_delay: bool = True,
) -> Comparison:
    """Store the file `count` times through each contestant in each round."""
    take = {
        name: partial(_take, contestant, file, count // _FEWER if name == FORWARDER else count, no_delay)
        for name, contestant in contestants.items()
    }
    rounds = interleave(take, options.rounds)
    return Comparison(title, "MB/s", rounds, references, "s/GB", bars, left_out())


def _take(contestant: Contestant, file: Path, count: int, no_delay: bool) -> Sample:
    contestant.check()
    megabytes = file.stat().st_size * count / 1e6
    before = contestant.cpu()
    seconds = store(contestant.port, file, count, no_delay=no_delay)
    cpu = (contestant.cpu() - before) / megabytes * 1000 if contestant.process else None
    return Sample(megabytes / seconds, cpu)
