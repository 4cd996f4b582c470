"""Times as records tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from dicomgate.events.moments import moment, utc

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=2))])


@given(st.datetimes(timezones=ZONES))
def test_they_are_written_as_isoformat_writes_them(time: datetime) -> None:
    assert moment(time) == time.isoformat("T", "milliseconds")


def test_in_utc() -> None:
    assert utc(datetime(2026, 1, 31, 12, 0, 9, 115_999, UTC)) == "2026-01-31T12:00:09.115Z"
