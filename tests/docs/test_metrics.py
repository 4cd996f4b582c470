"""docs/metrics.md has every metric, with its type and labels, as the code has it."""

from dicomgate.admin.metrics import METRICS
from dicomgate.testing.pages import DOCS, rows, section


def test_every_metric_is_documented() -> None:
    table = section(DOCS / "metrics.md", "The metrics").split("\n| label ")[0]
    named = [(row[0].strip("`"), row[1], row[2].replace("`", ""), row[3]) for row in rows(table)]
    suffixes = {"counter": "_total"}
    assert named == [(it.family + suffixes.get(it.kind, ""), it.kind, ", ".join(it.labels), it.says) for it in METRICS]
