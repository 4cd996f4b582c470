"""docs/configuration.md says what the configuration takes, and every piece of TOML in the documents is right."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dicomgate import ConfigError
from dicomgate.auth.table import AuthenticatorTable, PluginTable
from dicomgate.config import audit, fields, operation, schema
from dicomgate.config import load as config
from dicomgate.credentials.table import CredentialTable
from dicomgate.kit.durations import parse_duration
from dicomgate.rights.table import RuleTable
from dicomgate.testing.pages import DOCS, PAGES, Block, blocks, name, rows, section

CONFIGURATION = DOCS / "configuration.md"


TABLES: dict[str, type[BaseModel]] = {
    "`[gateway]`": schema.GatewayTable,
    "`[[listener]]`": schema.ListenerTable,
    "`tls` of a listener": schema.ListenerTls,
    "`proxy_protocol` of a listener": schema.ListenerProxyProtocol,
    "`[[upstream]]`": schema.UpstreamTable,
    "`[[upstream.present]]`": schema.PresentTable,
    "`tls` of an upstream": schema.UpstreamTls,
    "`[state]`": schema.StateTable,
    "`[throttle]`": schema.ThrottleTable,
    "`[limits]`": operation.LimitsTable,
    "`[control]`": operation.ControlTable,
    "`[admin]`": operation.AdminTable,
    "`tls` of `[admin]`": operation.AdminTls,
    "`[[audit]]`": audit.AuditTable,
    "`tls` of an audit": audit.AuditTls,
    "`[[authenticator]]`": AuthenticatorTable,
    "`[[credential]]`": CredentialTable,
    "`[[rule]]`": RuleTable,
}
OF_THE_MACHINE = {"node": "the host name", "workers": "the number of cores"}


def default_in_words(key: str, field: FieldInfo) -> object:
    if key in OF_THE_MACHINE:
        return OF_THE_MACHINE[key]
    if field.is_required():
        return "required"
    if isinstance(field.default, Path):
        return str(field.default)
    return "none" if field.default is None else field.default


def documented_default(cell: str) -> object:
    if not cell.startswith("`"):
        return cell
    value = tomllib.loads(f"value = {cell.strip('`')}")["value"]
    try:
        return parse_duration(value)
    except ValueError:
        return value


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_and_its_default_is_documented(heading: str) -> None:
    documented = {row[0].strip("`"): documented_default(row[2]) for row in rows(section(CONFIGURATION, heading))}
    model = TABLES[heading].model_fields
    assert documented == {field.alias or key: default_in_words(key, field) for key, field in model.items()}


def test_every_table_has_its_heading() -> None:
    found = {annotation for annotation in vars(schema).values() if isinstance(annotation, type)}
    models = {table for table in found if issubclass(table, BaseModel)} - {BaseModel, PluginTable, fields.Table}
    assert {*TABLES.values(), schema.Tables, schema.EmbeddedTables} == models


TOML = [pytest.param(block, id=f"{name(page)}:{block.line}") for page in PAGES for block in blocks(page, "toml")]


@pytest.mark.parametrize("block", TOML)
def test_every_toml_block_is_right(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tomllib.loads(block.text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/dicomgate.service")
    if not {"listener", "upstream", "authenticator"} <= set(data):
        for table in set(data) & set(schema._TABLES):
            listed = data[table] if isinstance(data[table], list) else [data[table]]
            for values in listed:
                schema._TABLES[table].model_validate(values)
        return
    path = Path("dicomgate.toml")
    monkeypatch.chdir(tmp_path)
    path.write_text(block.text, "utf-8")
    if block.note != "broken":
        assert config.load(path).tables.listener
        return
    with pytest.raises(ConfigError) as wrong:
        config.load(path)
    shown = blocks(CONFIGURATION)
    assert str(wrong.value) == shown[shown.index(block) + 1].text.rstrip("\n")
