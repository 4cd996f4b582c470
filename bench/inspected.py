"""What rules cost: an association with limited rights, whose messages are read, beside one that may do everything.

Without rules, and with the rights to everything, the gateway relays as ever: only what limited rights add is measured.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from dicomgate.testing.slices import SIDE

from . import bulk, idle, storescu
from .contestants import HAPROXY_256, Contestant, gateway, make_certificate, relays
from .dcmtk import make_slice, prepare, storescp
from .pacs import pacs
from .results import GATE, Bar, Comparison, Options, Sample, interleave
from .steps import steps

KIB = 1024
_EVERYTHING, _LIMITED = ["*"], ["echo", "store"]
FULL, LIMITED = f"{GATE}, rule for everything", f"{GATE}, limited rights"
_REFERENCES = (GATE, HAPROXY_256)
_BARS = (
    Bar(against=GATE, least=0.95, contestant=LIMITED),
    Bar("cpu", GATE, most=1.15, contestant=LIMITED),
    Bar(against=GATE, least=0.97, contestant=FULL),
)
_MEMORY, _ADDED = 0.8, "limited rights, added"


def run(options: Options, folder: Path) -> list[Comparison]:
    """Bulk data, C-STOREs, storescu, idle associations, and the single steps."""
    return [*_bulk(options, folder), _storescu(options, folder), _idle(options, folder), steps(options)]


def _bulk(options: Options, folder: Path) -> list[Comparison]:
    total, objects = (64 << 20, 40) if options.quick else (3 << 30, 4000)
    loads = {
        "PDUs of 16 KiB, without answers": bulk.blocks(16 * KIB, total),
        "C-STOREs of 512 KiB, PDUs of 16 KiB": bulk.stores(512 * KIB, 16 * KIB, objects),
        "C-STOREs of 512 KiB, PDUs of 128 KiB": bulk.stores(512 * KIB, 128 * KIB, objects),
    }
    with ExitStack() as stack:
        server = stack.enter_context(pacs(folder, make_certificate(folder)))
        contestants = _contestants(stack, folder, server.port)
        return [bulk.compare(title, contestants, load, _BARS, options, _REFERENCES) for title, load in loads.items()]


def _storescu(options: Options, folder: Path) -> Comparison:
    prepare()
    count, file = 40 if options.quick else 4000, make_slice(folder, SIDE // 2)
    with ExitStack() as stack:
        port = stack.enter_context(storescp(folder, no_delay=True))
        contestants = _contestants(stack, folder, port)
        title = f"storescu, {count:,} slices of 128 KiB"
        return storescu.compare(title, contestants, file, count, _BARS, options, _REFERENCES)


def _contestants(stack: ExitStack, folder: Path, upstream: int) -> dict[str, Contestant]:
    found = stack.enter_context(relays(folder, upstream))
    for name, allow in ((FULL, _EVERYTHING), (LIMITED, _LIMITED)):
        found[name] = stack.enter_context(gateway(folder, upstream, allow=allow))
    return found


def _idle(options: Options, folder: Path) -> Comparison:
    """The memory of an idle association."""
    count = 50 if options.quick else 1000
    with pacs(folder, make_certificate(folder)) as server:
        starts: dict[str, idle.Start] = {
            GATE: partial(gateway, folder, server.port, most=2 * count),
            LIMITED: partial(gateway, folder, server.port, most=2 * count, allow=_LIMITED),
        }
        take = {name: partial(idle.memory, start, count, False, options) for name, start in starts.items()}
        rounds = interleave(take, options.rounds)
    for taken in rounds:
        taken[_ADDED] = Sample(taken[LIMITED].figure - taken[GATE].figure)
    title = f"{count:,} idle associations"
    return Comparison(title, "KiB each", rounds, (GATE,), "% of a core", (Bar(most=_MEMORY, contestant=_ADDED),))
