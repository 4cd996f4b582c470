"""Stock storescu to stock storescp: CT slices without and with TCP_NODELAY=1 in the programs' environment.

Without it DCMTK leaves Nagle's algorithm on, and waits for the delayed acknowledgement of the end of every object.
"""

from __future__ import annotations

from pathlib import Path

from .contestants import DIRECT, relays
from .dcmtk import make_slice, prepare, storescp
from .results import Bar, Comparison, Options
from .storescu import compare

_UNCHANGED = (Bar(against=DIRECT, least=20),)


def run(options: Options, folder: Path) -> list[Comparison]:
    """An unchanged client, and one whose environment was changed."""
    prepare()
    file = make_slice(folder)
    count = 10 if options.quick else 200
    comparisons = []
    for no_delay, bars in ((False, _UNCHANGED), (True, ())):
        title = f"{count} CT slices of 512 KiB, {'with TCP_NODELAY=1' if no_delay else 'stock'}"
        with storescp(folder, no_delay=no_delay) as port, relays(folder, port) as contestants:
            comparisons.append(compare(title, contestants, file, count, bars, options, (DIRECT,), no_delay=no_delay))
    return comparisons
