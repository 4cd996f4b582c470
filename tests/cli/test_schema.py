"""The schema for editors takes every configuration that is documented, and no misspelt key."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import fastjsonschema
import pytest

from dicomgate.auth.loading import installed
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.pages import PAGES, blocks, name

FIRST = [{"use": "passcode", "file": "users.htpasswd"}]
TEMPLATE = files("dicomgate.cli").joinpath("dicomgate.toml").read_text("utf-8")


@pytest.fixture(scope="module")
def schema() -> Any:
    result = dicomgate("schema")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def validate(schema: Any) -> Callable[[Any], Any]:
    return fastjsonschema.compile(schema)  # type: ignore[no-any-return]


def test_every_documented_configuration_is_taken(schema: Any, validate: Callable[[Any], Any]) -> None:
    # A block of a page need not be a whole file.
    part = fastjsonschema.compile({**schema, "required": []})
    validate(tomllib.loads(TEMPLATE))
    tables = 0
    for page in PAGES:
        for block in blocks(page, "toml"):
            data = tomllib.loads(block.text)
            if block.note == "broken" or not set(data) <= set(schema["properties"]):
                continue  # wrong on purpose, or another program's file
            tables += len(data)
            tables_of = data.get("authenticator", [])
            data["authenticator"] = [table for table in tables_of if table["use"] in installed()] or FIRST
            try:
                part(data)
            except fastjsonschema.JsonSchemaException as error:
                pytest.fail(f"{name(page)}:{block.line}: {error.message}")
    assert tables > 50


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[gateway]", "[gatway]"),
        ("[gateway]", "[gateway]\nmax_associatons = 5"),
        ("[gateway]", '[gateway]\nartim = "30"'),
        ("[gateway]", "[gateway]\naudit_required = 1"),
        ('bind = "127.0.0.1:11112"', "bind = 11112"),
        ('bind = "127.0.0.1:11112"', 'bind = "127.0.0.1"'),
        ('address = "127.0.0.1:4242"', 'adress = "127.0.0.1:4242"'),
        ('use = "passcode"', 'use = "pascode"'),
        ('file = "users.htpasswd"', 'fil = "users.htpasswd"'),
        ('file = "users.htpasswd"', 'file = "users.htpasswd"\nunknown_user = "ask"'),
        ('file = "users.htpasswd"', 'file = "users.htpasswd"\non_eror = "next"'),
        ('called_ae_titles = ["*"]', 'called_ae_titles = ["*"]\ntls = { caa = "x" }'),
    ],
)
def test_what_is_misspelt_is_not_taken(right: str, wrong: str, validate: Callable[[Any], Any]) -> None:
    assert right in TEMPLATE
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate(tomllib.loads(TEMPLATE.replace(f"\n{right}", f"\n{wrong}", 1)))


def test_each_key_says_what_it_means(schema: Any) -> None:
    said = [
        "description" in about
        for table in schema["properties"]["authenticator"]["items"]["oneOf"]
        for about in table["properties"].values()
    ]
    assert sum(said) > 0.9 * len(said)


def test_an_authenticator_that_does_not_import_has_any_keys(run: Any, distribution: Any) -> None:
    distribution("import no_such_module_anywhere", "[dicomgate.authenticators]\nacme = acme_login:Login\n")
    validate = fastjsonschema.compile(json.loads(run("schema").stdout))
    acme = '[[authenticator]]\nuse = "acme"\nwhatever = 5\n'
    validate(tomllib.loads(TEMPLATE.replace("[[authenticator]]", acme + "[[authenticator]]")))
