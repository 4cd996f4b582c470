"""A real KDC, users with tickets, services with keytabs, and gateways.

Without a KDC or python-gssapi all tests here are skipped. Each test has its own KRB5_... environment variables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import Result

from dicomgate import Accept, Decision
from dicomgate.testing import attempt
from dicomgate.testing import kerberos as identity
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.fixtures import gateway, orthanc  # noqa: F401 (fixtures)
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.kdc import NEEDED, OTHER_SERVICE, SERVICE, Kdc, run_kdc
from dicomgate.testing.system_gateway import configuration

if TYPE_CHECKING:
    from dicomgate_kerberos import Kerberos

PAGE = Path(__file__).parents[3] / "docs" / "kerberos.md"
Make = Callable[..., "Kerberos"]
Check = Callable[..., Result]


class _NotToBeImported(pytest.Module):
    def collect(self) -> list[pytest.Item]:
        pytest.skip(
            "no KDC or no python-gssapi: apt-get install gcc python3-dev libkrb5-dev krb5-kdc krb5-admin-server "
            "krb5-user, then pip install -e plugins/kerberos",
            allow_module_level=True,
        )


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip the modules here before they import gssapi, and give the reason."""
    return None if find_spec("gssapi") and not NEEDED else _NotToBeImported.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """One KDC for all tests that do not change it; alice and zoe have tickets."""
    with run_kdc(tmp_path_factory.mktemp("kdc")) as running:
        running.keytab(SERVICE, OTHER_SERVICE)
        for user in ("alice", "zoe"):
            running.log_in(user, cache=user)
        yield running


@pytest.fixture(autouse=True)
def _environment(kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has alice's tickets, and a replay cache of the test's own."""
    for name in [name for name in os.environ if name.startswith("KRB5")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KRB5_CONFIG", str(kdc.configuration))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{kdc.folder}/alice")
    monkeypatch.setenv("KRB5RCACHENAME", "")  # so that it is restored after the test
    monkeypatch.delenv("KRB5RCACHENAME")
    monkeypatch.setenv("KRB5RCACHEDIR", str(tmp_path))


@pytest.fixture
def own_kdc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Kdc]:
    """A KDC for one test, which may stop it and change its keys. An indirect parameter sets its clock ("+200s")."""
    folder = tmp_path / "own-kdc"
    folder.mkdir()
    with run_kdc(folder, clock=getattr(request, "param", "")) as running:
        monkeypatch.setenv("KRB5_CONFIG", str(running.configuration))
        monkeypatch.setenv("KRB5CCNAME", f"FILE:{folder}/cache")
        yield running


@pytest.fixture
def keytab(kdc: Kdc, tmp_path: Path) -> Path:
    """The keys of the service and of another one, in a file of the test's own."""
    path = tmp_path / "gateway.keytab"
    path.touch(mode=0o600)
    path.write_bytes((kdc.folder / "gateway.keytab").read_bytes())
    return path


@pytest.fixture
def kerberos(keytab: Path) -> Make:
    """Make an authenticator with these keys."""
    from dicomgate_kerberos import Kerberos

    def kerberos(**options: Any) -> Kerberos:
        return Kerberos(**{"keytab": keytab, "principal": SERVICE, "forms": ("gss", "raw", "spnego"), **options})

    return kerberos


@pytest.fixture
def crafted_keytab(tmp_path: Path) -> Path:
    """The keys of the matrix."""
    from plugins.kerberos.tests import craft, matrix

    return craft.write_keytab(tmp_path / "crafted.keytab", *matrix.KEYS)


@pytest.fixture
def crafted(kerberos: Make, crafted_keytab: Path) -> Kerberos:
    """It has the keys of the matrix."""
    return kerberos(keytab=crafted_keytab)


@pytest.fixture
def check(keytab: Path) -> Check:
    """What a command says of a configuration with this table, in the keytab's folder. None leaves a key out."""

    def check(*command: str, **options: Any) -> Result:
        table = {"use": "kerberos", "name": "realm", "keytab": keytab.name, "principal": SERVICE, **options}
        given = {key: value for key, value in table.items() if value is not None}
        config = keytab.parent / "dicomgate.toml"
        config.write_text(as_toml({**configuration(("127.0.0.1", 9)), "authenticator": [given]}), "utf-8")
        return dicomgate(*command, "--config", config)

    return check


@pytest.fixture
def set_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Add a line to krb5.conf's [libdefaults]."""

    def set_default(line: str) -> None:
        text = Path(os.environ["KRB5_CONFIG"]).read_text()
        (tmp_path / "krb5.conf").write_text(text.replace("[libdefaults]", f"[libdefaults]\n{line}"))
        monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))

    return set_default


def ask(authenticator: Kerberos, token: bytes) -> Decision:
    """The decision on a login with this token."""
    return authenticator.authenticate(attempt(identity(token, positive_response_requested=True)))


def accepted(authenticator: Kerberos, token: bytes) -> Accept:
    """The same where it must be accepted."""
    decision = ask(authenticator, token)
    assert isinstance(decision, Accept), decision
    return decision
