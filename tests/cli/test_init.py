from __future__ import annotations

import json
import re
import shutil
import stat
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dicomgate.auth.table import AuthenticatorTable
from dicomgate.config.load import load
from dicomgate.config.operation import AdminTable, AdminTls, ControlTable, LimitsTable
from dicomgate.config.schema import (
    GatewayTable,
    ListenerTable,
    ListenerTls,
    StateTable,
    ThrottleTable,
    UpstreamTable,
    UpstreamTls,
)
from dicomgate.credentials.table import CredentialTable
from dicomgate.kit.durations import parse_duration
from dicomgate.rights.table import RuleTable
from dicomgate.testing.peers.certificates import Certificates

TEMPLATE = files("dicomgate.cli").joinpath("dicomgate.toml").read_text("utf-8")
TABLES: dict[str, type[BaseModel]] = {
    "gateway": GatewayTable, "state": StateTable, "throttle": ThrottleTable, "limits": LimitsTable,
    "control": ControlTable, "admin": AdminTable,
    "listener": ListenerTable, "upstream": UpstreamTable, "authenticator": AuthenticatorTable,
    "credential": CredentialTable, "rule": RuleTable,
}  # fmt: skip
PARTS = dict(zip(TABLES, re.split(r"\n(?:# )?\[", TEMPLATE)[1:], strict=True))


def _value(part: str, key: str) -> Any:
    """What the template says for a key, commented out or not."""
    found = re.search(rf"^(?:# )?{key} = (.+)$", PARTS[part], re.MULTILINE)
    assert found, f"{key} is not in the template"
    return tomllib.loads(f"x = {found[1]}")["x"]


@pytest.mark.parametrize(("part", "model"), TABLES.items())
def test_the_template_has_every_key_with_its_default(part: str, model: type[BaseModel]) -> None:
    for key, field in model.model_fields.items():
        if key == "tls":
            continue  # below
        value = _value(part, key)
        if field.is_required() or field.default is None or field.default_factory or key in SAID_OTHERWISE:
            continue
        default = field.default
        assert (parse_duration(value) if hasattr(default, "total_seconds") else type(default)(value)) == default, key


SAID_OTHERWISE = {
    "cleartext_passcodes": "it works at once, without certificates; its default is in the comment",
    "present": "it is an example; by default there is none",
    "workers": "its default depends on the machine; the comment says how",
}


@pytest.mark.parametrize(("part", "model"), [("admin", AdminTls), ("listener", ListenerTls), ("upstream", UpstreamTls)])
def test_the_template_has_every_key_of_tls(part: str, model: type[BaseModel]) -> None:
    examples = re.findall(r"^# tls = \{.*\}$", PARTS[part], re.MULTILINE)
    named = set().union(*(tomllib.loads(example[2:])["tls"] for example in examples))
    assert named == set(model.model_fields)


def test_init_writes_a_configuration_and_a_user_who_can_log_in(tmp_path: Path, run: Any) -> None:
    folder = tmp_path / "new" / "gate"
    result = run("init", folder)
    assert result.exit_code == 0, result.output
    passcode = result.stdout.strip()
    assert len(passcode) == 26
    assert passcode not in result.stderr
    assert all(word in result.stderr for word in ("check", "serve", "echo", "address", str(folder)))
    schema = json.loads((folder / "dicomgate.schema.json").read_text("utf-8"))
    assert schema == json.loads(run("schema").stdout)
    assert TEMPLATE.startswith("#:schema ./dicomgate.schema.json\n")
    assert stat.S_IMODE((folder / "users.htpasswd").stat().st_mode) == 0o600
    tables = load(folder / "dicomgate.toml").tables
    assert (tables.listener[0].bind, tables.listener[0].cleartext_passcodes) == ([("127.0.0.1", 11112)], True)
    assert (tables.upstream[0].address, tables.upstream[0].called_ae_titles) == (("127.0.0.1", 4242), ["*"])
    assert tables.authenticator[0].options == {"file": "users.htpasswd"}
    config = folder / "dicomgate.toml"
    assert run("ask", "--config", config, "--user", "alice", stdin=f"{passcode}\n").exit_code == 0
    assert run("ask", "--config", config, "--user", "alice", stdin=f"{passcode}x\n").exit_code == 1


@pytest.mark.parametrize("name", ["dicomgate.toml", "users.htpasswd", "dicomgate.schema.json"])
def test_init_overwrites_nothing(name: str, tmp_path: Path, run: Any, one_line: Any) -> None:
    (tmp_path / name).write_text("mine")
    assert name in one_line(run("init", tmp_path), 2)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_init_egress_writes_a_configuration_that_wants_a_passcode_and_an_authority(
    tmp_path: Path, run: Any, certificates: Certificates
) -> None:
    result = run("init", "--egress", tmp_path)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dicomgate.schema.json", "dicomgate.toml"]
    config = tmp_path / "dicomgate.toml"
    assert all(name in run("check", "--config", config).stderr for name in ("egress.passcode", "hospital-ca.pem"))
    assert all(word in result.stderr for word in ("CHANGE", "hospital-ca.pem", "egress.passcode", str(tmp_path)))
    shutil.copy(certificates.ca, tmp_path / "hospital-ca.pem")
    (tmp_path / "egress.passcode").touch(0o600)
    (tmp_path / "egress.passcode").write_text("correct horse\n")
    checked = run("check", "--config", config)
    assert checked.exit_code == 0, checked.output
    assert "warning" not in checked.output.lower()
    assert run("ask", "--config", config, "--calling", "FINDSCU", "--address", "127.0.0.1").exit_code == 0
    assert run("ask", "--config", config, "--calling", "FINDSCU", "--address", "10.0.0.1").exit_code == 1
    assert "dicomgate.toml" in run("init", "--egress", tmp_path).stderr


def test_init_says_where_it_cannot_write(tmp_path: Path, run: Any, one_line: Any) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in one_line(run("init", tmp_path / "file" / "folder"), 3)


def test_init_leaves_nothing_where_the_user_cannot_be_added(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("dicomgate_passcode.commands.set_hashes", fail)
    result = run("init", tmp_path)
    assert result.exit_code == 2
    assert "no space" in result.stderr
    assert list(tmp_path.iterdir()) == []
