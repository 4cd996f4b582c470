"""`dicomgate schema`: a JSON schema of the configuration file, for editors.

Draft 7, which the editors' extensions for TOML read, with the keys of the plugins that are installed. It says
which keys there are, and of which form their values; what only `dicomgate check` can say, it does not.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from importlib.resources import files
from typing import Any

import typer
from pydantic import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from ..auth import loading
from ..auth.kind import AUTHENTICATORS, Kind
from ..config.schema import Tables
from ..credentials.table import CREDENTIALS
from ..errors import PluginError
from .plugins import field_docstrings

NAME = "dicomgate.schema.json"
TEMPLATE = "dicomgate.toml"
_HEADING = re.compile(r"^(?:# )?\[{1,2}(?=[a-z]+\])", re.MULTILINE)  # commented out, where a table is not needed
_REFERENCE = "#/definitions/{model}"
_KINDS = (AUTHENTICATORS, CREDENTIALS)
_Schema = dict[str, Any]


def schema() -> None:
    """Print a JSON schema of the configuration file, for an editor.

    Write it beside the file that names it: dicomgate schema >
    dicomgate.schema.json. It has the keys of the authenticators and
    credentials that are installed here.

    Exit status: 0 printed.
    """
    typer.echo(as_text(), nl=False)


def as_text() -> str:
    """The schema as a JSON document."""
    return json.dumps(configuration_schema(), indent=2, ensure_ascii=False) + "\n"


def configuration_schema() -> _Schema:
    """The schema of the configuration file."""
    whole = Tables.model_json_schema(schema_generator=_Generator, ref_template=_REFERENCE)
    tables: _Schema = whole.pop("$defs")
    address = tables["ListenerTable"]["properties"]["bind"]["items"]
    tables["ListenerTable"]["properties"]["bind"] = {"anyOf": [address, {"type": "array", "items": address}]}
    keys_of = {kind.word: tables.pop(f"{kind.word.title()}Table")["properties"] for kind in _KINDS}
    for keys in keys_of.values():
        keys["workers"].pop("default")  # that of this machine
    for part in _HEADING.split(files(__package__).joinpath(TEMPLATE).read_text("utf-8"))[1:]:
        name = part.partition("]")[0]
        _describe(keys_of[name] if name in keys_of else tables[f"{name.title()}Table"]["properties"], part)
    for kind in _KINDS:
        whole["properties"][kind.word]["items"] = {
            "oneOf": [_plugin(kind, use, keys_of[kind.word], tables) for use in loading.installed(kind)]
        }
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole, "definitions": tables}


def _describe(keys: _Schema, part: str) -> None:
    """Give each key the comment that the template of `init` has on it."""
    for key, about in keys.items():
        if found := re.search(rf"^(?:# )?{key} = .*? +# (.+)$", part, re.MULTILINE):
            about["description"] = found[1]


def _plugin(kind: Kind, use: str, gateway_keys: _Schema, definitions: _Schema) -> _Schema:
    """The table of one installed authenticator or credential; of one that does not import, no key is known.

    What it refers to is added to `definitions`.
    """
    table: _Schema = {"type": "object", "title": use, "required": ["use"]}
    keys = gateway_keys | {"use": {"const": use}}
    try:
        factory = loading.find(use, kind)
        own = loading.options_adapter(factory).json_schema(schema_generator=_Generator, ref_template=_REFERENCE)
    except (PluginError, PydanticUserError):
        return table | {"properties": keys}
    definitions |= own.pop("$defs", {})
    said = field_docstrings(factory)
    for name, about in own.get("properties", {}).items():
        keys[name] = about | ({"description": said[name]} if name in said else {})
    required = ["use", *own.get("required", ())]
    return table | {"required": required, "properties": keys, "additionalProperties": False}


class _Generator(GenerateJsonSchema):
    """As an operator writes the values: durations with a unit, addresses as text."""

    def timedelta_schema(self, schema: Any) -> _Schema:
        return {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)$"}

    def tuple_schema(self, schema: Any) -> _Schema:
        return {"type": "string", "pattern": r"^(\[[0-9A-Fa-f:.%]+\]|[^:\[\]\s/@?#]+):[0-9]{1,5}$"}

    def nullable_schema(self, schema: Any) -> _Schema:
        return self.generate_inner(schema["schema"])  # TOML has no null: the key is left out

    def default_schema(self, schema: Any) -> _Schema:
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if key != "default" or value is not None}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def encode_default(self, dft: Any) -> Any:
        return f"{dft.total_seconds():g}s" if isinstance(dft, timedelta) else super().encode_default(dft)
