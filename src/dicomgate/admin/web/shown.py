"""How values appear on the page: text from peers on one line, bytes, times.

All times are UTC. Text from outside has its controls and marks of direction escaped (`kit.text`); the template escapes
what HTML would take for markup.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ...kit.text import one_line

_LONGEST = 256  # characters, as in the log
_SIZES = ("B", "kB", "MB", "GB", "TB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def line(text: object) -> str:
    """Text from anywhere, on one line; what is not printable is escaped."""
    shown = str(text)
    return one_line(shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…")


def size(count: int) -> str:
    """Bytes, in the unit that leaves one to three digits before the point."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_SIZES) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_SIZES[unit]}" if not unit or value >= 99.95 else f"{value:.1f} {_SIZES[unit]}"


def duration(seconds: float) -> str:
    """A time span in its two largest units."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02} h"


def ago(moment: datetime) -> str:
    """How long ago it was."""
    return duration((datetime.now(UTC) - moment).total_seconds())


def until(moment: datetime) -> str:
    """How long it is to then; "now" if it is past."""
    left = (moment - datetime.now(UTC)).total_seconds()
    return f"in {duration(left)}" if left > 0 else "now"


def clock(moment: datetime) -> str:
    """The time of day, with the day unless that is today."""
    at, now = moment.astimezone(UTC), datetime.now(UTC)
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%m-%d %H:%M}" if at.year == now.year else day(at)


def day(moment: datetime) -> str:
    """The day."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def iso(moment: datetime) -> str:
    """For the attribute `datetime`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def whole_days(moment: datetime) -> int:
    """The days to then; negative if it is past."""
    return (moment - datetime.now(UTC)) // timedelta(days=1)


FILTERS = {
    "line": line,
    "size": size,
    "duration": duration,
    "ago": ago,
    "until": until,
    "clock": clock,
    "day": day,
    "iso": iso,
    "whole_days": whole_days,
}
"""For the templates."""
