"""What is wrong with `[admin]` is said before anything listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomgate import ConfigError
from dicomgate.run import page
from dicomgate.run.assembly import assemble
from dicomgate.run.page import Right
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.system_gateway import STAFF, USERS, configuration

ADMIN = {"bind": "127.0.0.1:0"}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    users = tmp_path / "users.htpasswd"
    users.touch(0o600)
    users.write_text("".join(f"{name}:{known}\n" for name, known in USERS.items()))

    def written(**admin: Any) -> Path:
        path = tmp_path / "dicomgate.toml"
        tables = configuration(("127.0.0.1", 1), STAFF, {**STAFF, "name": "others"})
        path.write_text(as_toml({**tables, "admin": {**ADMIN, **admin}}), "utf-8")
        return path

    return written


@pytest.mark.parametrize(
    ("admin", "wrong"),
    [
        ({"bind": "0.0.0.0:9104"}, "admin.tls: 0.0.0.0 is not loopback"),
        ({"viewers": ["alice"]}, "admin.viewers.[0]: 'alice' names nobody"),
        (
            {"operators": ["user:stuff/alice"]},
            "admin.operators: authenticator 'stuff' is not asked, did you mean 'staff'?",
        ),
        ({"viewers": ["group:it"]}, "admin.viewers: whose groups?"),
        ({"authenticators": ["staff"]}, "admin.authenticators: nobody may see the page"),
        ({"authenticators": ["nobody"], "viewers": ["group:it"]}, "admin.authenticators: no authenticator is called"),
        ({"hosts": ["https://gate.hospital.example/"]}, "admin.hosts.[0]: an address is"),
        ({"metrics_token_file": "token"}, "token: shorter than 16 characters"),
        ({"tls": {"certificate": "none.pem"}}, "admin.tls.certificate: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_table(write: Any, tmp_path: Path, admin: dict[str, Any], wrong: str) -> None:
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text("short")
    with pytest.raises(ConfigError) as told:
        assemble(write(**admin))
    assert wrong.replace(".[", "[") in str(told.value)


def test_the_packages_may_be_missing(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert assemble(write()).page is not None
    monkeypatch.setattr(page, "find_spec", lambda name: None if name in ("jinja2", "uvicorn") else name)
    with pytest.raises(ConfigError, match="admin: needs jinja2, uvicorn"):
        assemble(write())


def test_rights_are_a_principals(write: Any) -> None:
    who = {"viewers": ["group:it"], "operators": ["user:staff/alice"], "authenticators": ["staff"]}
    made = assemble(write(**who)).page
    assert made is not None
    assert made.right_of("staff", "alice", frozenset()) is Right.ACT
    assert made.right_of("others", "alice", frozenset({"it"})) is Right.NOTHING  # it is not asked: another alice
    assert made.right_of("staff", "zoë", frozenset({"it"})) is Right.SEE
    assert made.right_of("staff", "zoë", frozenset({"group:it"})) is Right.NOTHING
