"""Cut a chart of `bench`, which has two columns, into its parts: a narrow screen shows them in one column."""

from __future__ import annotations

from copy import deepcopy
from math import ceil
from typing import NamedTuple
from xml.etree import ElementTree as ET

_SVG = "{http://www.w3.org/2000/svg}"
_COLUMNS = 2
_LETTER = 5.2
"""How wide a letter of a title is, at most; the reader's fonts are not known here."""

ET.register_namespace("", _SVG[1:-1])
ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")


class Part(NamedTuple):
    """One part of a chart: how wide and high it is, and its SVG."""

    width: float
    height: float
    svg: str


def parts(chart: str) -> list[Part]:
    """The parts of a chart in their order, row by row. Raises ValueError if it is not a chart of `bench`."""
    root = ET.fromstring(chart)  # noqa: S314 (our own file)
    width, height = (float(number) for number in root.attrib["viewBox"].split()[2:])
    drawn = [group.attrib["id"] for group in _axes(root) if len(group)]
    if not drawn:
        raise ValueError("no part is drawn in this chart")
    middle = _right_edge(root, drawn[0]) + 3
    high = height / ceil(len(drawn) / _COLUMNS)
    return [
        _part(root, name, left=middle * (index % _COLUMNS), top=index // _COLUMNS * high, height=high,
              width=width - middle if index % _COLUMNS else middle)
        for index, name in enumerate(drawn)
    ]  # fmt: skip


def _part(root: ET.Element, name: str, *, left: float, top: float, width: float, height: float) -> Part:
    alone = deepcopy(root)
    for figure in list(alone.iter(f"{_SVG}g")):
        for group in [group for group in figure if group.get("id", "").startswith("axes_") and group.get("id") != name]:
            # What one part defines others use too, for example the marks of an axis.
            figure.extend(group.iter(f"{_SVG}defs"))
            figure.remove(group)
    title = list(alone.iter(f"{_SVG}text"))[-1]
    start = float(title.attrib["transform"].split()[1])
    width = max(width, start - left + _LETTER * len(title.text or ""))
    alone.set("viewBox", f"{left:g} {top:g} {width:g} {height:g}")
    alone.set("width", f"{width:g}pt")
    alone.set("height", f"{height:g}pt")
    return Part(width, height, ET.tostring(alone, "unicode"))


def _axes(root: ET.Element) -> list[ET.Element]:
    return [group for group in root.iter(f"{_SVG}g") if group.get("id", "").startswith("axes_")]


def _right_edge(root: ET.Element, name: str) -> float:
    """The right edge of a part's frame, the first path in it: "M left bottom L right bottom"."""
    (axes,) = [group for group in _axes(root) if group.get("id") == name]
    frame = next(axes.iter(f"{_SVG}path"))
    return float(frame.attrib["d"].split()[4])
