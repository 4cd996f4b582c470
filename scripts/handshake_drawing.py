"""Draw the handshake's legal moves from the mermaid diagram of docs/architecture.md, for the site.

The five states of the way in stand one below the other; CLOSING is a bar on their right and CLOSED one on their left,
so that every other move is a level line and none crosses another. A state or a move that there is no place for raises
ValueError: then the picture must be thought anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

WAY_IN = ("REQUEST", "DECISION", "CONNECTION", "ANSWER", "RELAYING")
ROW, HEIGHT, LINE = 104, 34, 14  # from a state to the next; of a state; of a line of text
LEFT, MIDDLE, RIGHT = (10, 90), (280, 140), (600, 90)  # where a column begins, and how wide it is
WIDTH = 700
_MOVE = re.compile(r"^ *(\S+) --> (\w+|\[\*\])(?:: (.*))?$", re.MULTILINE)


def drawn(mermaid: str) -> str:
    """The diagram as HTML with an SVG in it. Raises ValueError for a move that there is no place for."""
    moves = {(start, end): inputs.split(", ") if inputs else [] for start, end, inputs in _MOVE.findall(mermaid)}
    shapes = [line for move, inputs in moves.items() for line in _move(*move, inputs)]
    bottom = _top(4) + HEIGHT + 78
    return "\n".join(
        [
            '<div class="handshake">',
            f'<svg viewBox="0 0 {WIDTH} {bottom + 8}" role="img" aria-label="The legal moves of the handshake">',
            '<defs><marker id="tip" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">',
            '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
            *_box("CLOSED", *LEFT, _top(0), bottom - _top(0)),
            *_box("CLOSING", *RIGHT, _top(0), _top(3) + HEIGHT - _top(0)),
            *(line for row, state in enumerate(WAY_IN) for line in _box(state, *MIDDLE, _top(row), HEIGHT)),
            *shapes,
            "</svg>",
            "</div>",
        ]
    )


def _top(row: int) -> int:
    return 40 + row * ROW


def _move(start: str, end: str, inputs: list[str]) -> Iterator[str]:
    """One move: a line and, above or beside it, the inputs that lead there."""
    centre = MIDDLE[0] + MIDDLE[1] // 2
    if (start, end) == ("[*]", WAY_IN[0]):
        yield f'<circle cx="{centre}" cy="10" r="6"/>'
        yield _arrow(f"M{centre} 16V{_top(0)}")
    elif (start, end) == (WAY_IN[-1], "[*]"):
        below = _top(4) + HEIGHT
        yield _arrow(f"M{centre} {below}V{below + 22}")
        yield f'<circle cx="{centre}" cy="{below + 28}" r="6"/>'
    elif (start, end) == ("CLOSED", "[*]"):
        return  # the bar on the left is the end, and says so
    elif (start, end) in pairwise(WAY_IN):
        row = WAY_IN.index(start)
        yield _arrow(f"M{centre} {_top(row) + HEIGHT}V{_top(row + 1)}")
        yield from _text(inputs, centre + 8, _top(row) + HEIGHT + 20, "start")
    elif (start, end) == ("CLOSING", "CLOSED"):
        side, level = RIGHT[0] + RIGHT[1] // 2, _top(4) + HEIGHT + 62
        yield _arrow(f"M{side} {_top(3) + HEIGHT}V{level}H{LEFT[0] + LEFT[1]}")
        yield from _text([", ".join(inputs)], (LEFT[0] + LEFT[1] + side) // 2, level - 6, "middle")
    elif start in WAY_IN and end in ("CLOSED", "CLOSING"):
        level = _top(WAY_IN.index(start)) + HEIGHT // 2
        near, far = (MIDDLE[0], LEFT[0] + LEFT[1]) if end == "CLOSED" else (MIDDLE[0] + MIDDLE[1], RIGHT[0])
        yield _arrow(f"M{near} {level}H{far}")
        yield from _text(inputs, (near + far) // 2, level - 5 - LINE * (len(inputs) - 1), "middle")
    else:
        raise ValueError(f"there is no place for the move from {start} to {end}")


def _arrow(path: str) -> str:
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def _box(state: str, left: int, width: int, top: int, height: int) -> Iterator[str]:
    yield f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="5"/>'
    yield from _text([state], left + width // 2, top + height // 2 + 5, "middle", 15)


def _text(lines: list[str], x: int, y: int, anchor: str, size: int = 12) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f'<text x="{x}" y="{y + number * LINE}" font-size="{size}" text-anchor="{anchor}">{line}</text>'
