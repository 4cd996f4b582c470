"""What is wrong with `[[audit]]` tables is said, each with its key and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate.config.load import load
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.system_gateway import configuration

ATNA = {"kind": "atna", "to": "syslog+tls://arr.example", "spool": "spool"}
JSON = {"kind": "json", "to": "file:other.jsonl", "name": "other"}


def tables_in(folder: Path, *audits: object, **gateway: object) -> Path:
    path = folder / "dicomgate.toml"
    path.write_text(as_toml(configuration(("pacs.example", 104), settings=gateway) | {"audit": [*audits]}), "utf-8")
    return path


def test_addresses_have_the_ports_of_their_standards(tmp_path: Path) -> None:
    udp = {"kind": "json", "to": "syslog+udp://[::1]", "name": "udp"}
    tables = load(tables_in(tmp_path, ATNA, udp, JSON, audit_required=True)).tables
    assert [table.to.address for table in tables.audit] == [("arr.example", 6514), ("::1", 514), ("", 0)]
    assert tables.audit[0].spool_max == 1 << 30
    assert tables.audit_required


@pytest.mark.parametrize(
    ("audits", "problem"),
    [
        ([{"kind": "json", "to": "tcp://arr.example"}], 'audit[0].to: must be "file:PATH", "stdout"'),
        ([{**ATNA, "to": "stdout"}], 'audit[0].to: messages of kind = "atna" go over TLS'),
        ([{**JSON, "to": "syslog+tls://arr.example"}], 'audit[0].to: over TLS goes kind = "atna"'),
        ([{"kind": "atna", "to": "syslog+tls://arr.example"}], "audit[0].spool: is missing: name a folder"),
        ([{**JSON, "site": "A"}], 'audit[0].site: is a key of kind = "atna": remove it'),
        ([{**ATNA, "spool_max": "1MiB"}], 'audit[0].spool_max: must be "4MiB" or more'),
        ([{**ATNA, "spool_max": "1 GB"}], "audit[0].spool_max: a size is a whole number with a unit in quotes"),
        ([{**ATNA, "message_id": "a b"}], "audit[0].message_id: must be 1 to 32 printable ASCII characters"),
        ([{**ATNA, "tls": {"key": "gate.key"}}], "audit[0].tls.key: a key without its certificate"),
        ([ATNA, {**ATNA, "name": "second"}], "audit[1].spool: another audit has this spool"),
        ([{**JSON, "name": "json"}], "audit[0].name: a second audit is called 'json'"),
        ([{**JSON, "to": "file:audit.jsonl"}], "audit[0].to: another audit writes to this file"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, audits: list[object], problem: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load(tables_in(tmp_path, *audits))
    assert problem in str(wrong.value)
    assert len(str(wrong.value).splitlines()) == 1
