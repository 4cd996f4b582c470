"""The configurations for fronting a PACS: complete, so that everything in them must be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dicomgate import ConfigError, PluginError
from dicomgate.auth import loading as discovery
from dicomgate.config.load import load
from dicomgate.testing.pages import DOCS, Block, blocks

COMPLETE = [
    pytest.param(block, id=page)
    for page in ("orthanc.md", "dcm4chee.md", "commercial-pacs.md")
    for block in blocks(DOCS / page, "toml")
    if not block.note
]


def made(block: Block, folder: Path) -> list[object]:
    """Every authenticator of the configuration, made as the gateway makes it."""
    path = folder / "dicomgate.toml"
    path.write_text(block.text, "utf-8")
    users = folder / "users.htpasswd"
    os.close(os.open(users, os.O_CREAT | os.O_WRONLY, 0o600))
    tables = load(path).tables.authenticator
    return [discovery.make(table.use, table.options, folder) for table in tables]


@pytest.mark.parametrize("block", COMPLETE)
def test_every_authenticator_takes_its_keys(block: Block, tmp_path: Path) -> None:
    try:
        assert made(block, tmp_path)
    except PluginError as error:
        if "is called" not in str(error):
            raise
        pytest.skip(f"not installed: {error}")
    with pytest.raises(ConfigError, match="unknown key"):
        made(block._replace(text=block.text.replace("\nfile = ", "\nunheard_of = 1\nfile = ")), tmp_path)


def test_there_is_one_for_each_pacs() -> None:
    assert [case.id for case in COMPLETE] == ["orthanc.md", "dcm4chee.md", "commercial-pacs.md"]
