"""Comparisons -> one SVG with a bar for each contestant; the whiskers are the least and the greatest round."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .results import GATE, Comparison, short

_OURS, _OTHERS, _INK = "#1f77b4", "#9aa5b1", "#30363d"
_COLUMNS = 2
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: a small file that can be searched
    "svg.hashsalt": "dicomgate",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.size": 8,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "ytick.color": _INK,
}


def draw(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the chart; its folder is made if need be."""
    path.parent.mkdir(exist_ok=True)
    rows = ceil(len(comparisons) / _COLUMNS)
    tallest = max(len(comparison.contestants) for comparison in comparisons)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, rows * (0.8 + 0.3 * tallest)), layout="constrained")
        axes = figure.subplots(rows, _COLUMNS, squeeze=False)
        places = [place for row in axes for place in row]
        for place, comparison in zip(places, comparisons, strict=False):
            _draw_one(place, comparison)
        for place in places[len(comparisons) :]:
            place.set_axis_off()
        figure.patch.set_facecolor("white")
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")


def _draw_one(place: Axes, comparison: Comparison) -> None:
    names = comparison.contestants
    medians = [comparison.median(name) or 0.0 for name in names]
    spreads = [comparison.spread(name) for name in names]
    whiskers = [
        [max(0.0, middle - least) for middle, (least, _) in zip(medians, spreads, strict=True)],
        [max(0.0, most - middle) for middle, (_, most) in zip(medians, spreads, strict=True)],
    ]
    colours = [_OURS if name.startswith(GATE) else _OTHERS for name in names]
    bars = place.barh(names, medians, xerr=whiskers, color=colours, ecolor=_INK, height=0.65, error_kw={"lw": 0.7})
    place.bar_label(bars, [f" {short(middle)}" for middle in medians], padding=3)
    place.set_title(f"{comparison.title} [{comparison.unit}]", fontsize=8, loc="left", weight="bold")
    place.xaxis.set_visible(False)  # each bar says its figure
    place.invert_yaxis()
    place.margins(x=0.18)
    place.set_xlim(left=0)
    place.spines[["top", "right", "bottom"]].set_visible(False)
