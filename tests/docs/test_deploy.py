"""What deploy/ has for administrators, and the pages about it: run where that is possible, compared otherwise."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dicomgate import ConfigError
from dicomgate.config.load import load
from dicomgate.kit.files import read_private
from dicomgate.testing.pages import DOCS, ROOT, blocks, text
from dicomgate.wire.proxy import Announced, read_header

DEPLOY = ROOT / "deploy"
HOOK = DEPLOY / "certbot" / "dicomgate.sh"
KUBERNETES = DEPLOY / "kubernetes"


def shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-euc", script]
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def lineage(folder: Path, key: str) -> Path:
    """A folder as certbot's: `live` has links into `archive`, and root alone may read either."""
    live, archive = folder / "live" / "gate.hospital.example", folder / "archive" / "gate.hospital.example"
    for name, content in {"privkey": key, "fullchain": f"the certificate of {key}"}.items():
        archive.mkdir(mode=0o700, parents=True, exist_ok=True)
        live.mkdir(mode=0o700, parents=True, exist_ok=True)
        (archive / f"{name}1.pem").write_text(content)
        (archive / f"{name}1.pem").chmod(0o600)
        (live / f"{name}.pem").symlink_to(f"../../archive/gate.hospital.example/{name}1.pem")
    return live


def test_the_deploy_hook_of_certbot(tmp_path: Path) -> None:
    given = {
        "RENEWED_LINEAGE": str(lineage(tmp_path, "a key")),
        "DICOMGATE_FOLDER": str(tmp_path / "tls"),
        "DICOMGATE_GROUP": str(os.getgid()),
        "DICOMGATE_RELOAD": "touch reloaded",
    }
    other = shell(str(HOOK), tmp_path, **{**given, "DICOMGATE_CERTIFICATE": "www.hospital.example"})
    assert (other.returncode, (tmp_path / "tls").exists(), (tmp_path / "reloaded").exists()) == (0, False, False)
    for _ in ("the first time", "a renewal"):
        done = shell(str(HOOK), tmp_path, **given)
        assert (done.returncode, done.stderr) == (0, "")
        (tmp_path / "reloaded").unlink()
        files = {path.name: path.read_text() for path in (tmp_path / "tls").iterdir()}
        assert files == {"gate.key": "a key", "gate.pem": "the certificate of a key"}
        assert read_private(tmp_path / "tls" / "gate.key", 100) == b"a key"
        assert stat.S_IMODE((tmp_path / "tls" / "gate.key").stat().st_mode) == 0o640
    assert shell(str(HOOK), tmp_path, **{**given, "DICOMGATE_RELOAD": "false"}).returncode != 0


def manifests(name: str) -> dict[str, Any]:
    yaml: Any = pytest.importorskip("yaml")
    return {one["kind"]: one for one in yaml.safe_load_all(text(KUBERNETES / name))}


@pytest.mark.parametrize("name", ["dicomgate.yaml", "several.yaml"])
def test_the_manifests_fit_the_configuration_and_the_image(name: str, tmp_path: Path) -> None:
    made = manifests(name)
    pod = made["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    tables = load(KUBERNETES / "dicomgate.toml").tables
    (listener,) = tables.listener
    port = container["ports"][0]["containerPort"]
    assert {bound for _, bound in listener.bind} == {port} == {made["Service"]["spec"]["ports"][0]["port"]}
    assert tables.admin is not None
    assert container["ports"][1] == {"name": "admin", "containerPort": tables.admin.bind[1]}
    for probe, asked in (("readinessProbe", "/ready"), ("livenessProbe", "/live")):
        assert container[probe]["httpGet"] == {"path": asked, "port": "admin", "scheme": "HTTPS"}
    ends = tables.gateway.drain_delay + tables.gateway.drain_timeout
    assert pod["terminationGracePeriodSeconds"] >= ends.total_seconds() + 20
    user = pod["securityContext"]["runAsUser"]
    assert f"USER {user}:{pod['securityContext']['fsGroup']}\n" in text(DEPLOY / "container" / "Containerfile")
    mounted = [one["mountPath"] for one in container["volumeMounts"]]
    assert tables.state is not None
    assert listener.tls is not None
    needed = [listener.tls.certificate, listener.tls.key, "/etc/dicomgate/dicomgate.toml"]
    if made["Deployment"]["spec"]["replicas"] == 1:
        needed.append(tables.state.path)
    else:
        budget = made["PodDisruptionBudget"]["spec"]
        assert budget["selector"] == made["Deployment"]["spec"]["selector"]
        assert 0 < budget["minAvailable"] < made["Deployment"]["spec"]["replicas"]
    assert {str(Path(str(path)).parent) for path in needed} <= set(mounted)
    secrets = [one["secret"] for one in pod["volumes"] if "secret" in one]
    assert [
        (one["defaultMode"], f"generic {one['secretName']} " in text(KUBERNETES / "dicomgate.yaml")) for one in secrets
    ]
    assert {one["defaultMode"] for one in secrets} == {0o440}
    (shown,) = [block.text for block in blocks(DOCS / "containers.md", "toml") if block.note == "kubernetes"]
    assert text(KUBERNETES / "dicomgate.toml").endswith(shown)


@pytest.mark.parametrize(
    ("folder", "file", "refused"),
    [
        pytest.param(0o1777, 0o440, "", id="a secret with a group"),
        pytest.param(0o1777, 0o444, "everybody may read", id="a secret for everybody"),
        pytest.param(0o777, 0o440, "everybody may write the folder", id="a ConfigMap"),
    ],
)
def test_a_volume_as_kubernetes_makes_it(folder: int, file: int, refused: str, tmp_path: Path) -> None:
    """The file is a link to a link: kubelet puts the content into a folder of its own, and exchanges `..data`."""
    volume = tmp_path / "volume"
    data = volume / "..2026_01_31"
    data.mkdir(parents=True)
    (data / "gate.key").write_bytes(b"key")
    (data / "gate.key").chmod(file)
    (volume / "..data").symlink_to(data.name)
    (volume / "gate.key").symlink_to("..data/gate.key")
    volume.chmod(folder)
    if refused:
        with pytest.raises(ConfigError, match=refused):
            read_private(volume / "gate.key", 100)
    else:
        assert read_private(volume / "gate.key", 100) == b"key"


def test_the_certificates_of_devices(tmp_path: Path) -> None:
    script = "".join(block.text for block in blocks(DOCS / "tls.md", "sh") if block.note == "devices")
    issued = shell(script, tmp_path)
    assert issued.returncode == 0, issued.stderr
    assert "ct-1.pem: OK" in issued.stdout
    assert "sha256 Fingerprint=" in (tmp_path / "issued.txt").read_text()
    names = shell("openssl x509 -in ct-1.pem -noout -ext subjectAltName,extendedKeyUsage", tmp_path).stdout
    assert "DNS:ct-1.hospital.example" in names
    assert "TLS Web Client Authentication" in names
    assert shell("openssl verify -CAfile devices-ca.pem -purpose sslserver ct-1.pem", tmp_path).returncode != 0


@pytest.fixture
def old_tls(tmp_path: Path) -> str:
    """The configuration of HAProxy that deploy/ has, with a certificate and the sections that Debian's file has."""
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed")
    made = "openssl req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=localhost -keyout k.pem -out c.pem"
    assert shell(f"{made} 2>&1 && cat c.pem k.pem > gate-rsa.pem", tmp_path).returncode == 0
    shown = text(DEPLOY / "haproxy" / "old-tls.cfg").replace(
        "/etc/haproxy/gate-rsa.pem", str(tmp_path / "gate-rsa.pem")
    )
    return f"global\n    log stderr format raw local0\n\ndefaults\n    log global\n\n{shown}"


def test_old_devices_get_through_haproxy(old_tls: str, tmp_path: Path) -> None:
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(old_tls)
    checked = shell(f"haproxy -c -f {configuration}", tmp_path)
    assert "Configuration file is valid" in checked.stdout, checked.stderr
    assert "WARNING" not in checked.stderr
    with socket.create_server(("127.0.0.1", 0)) as gateway, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        for there, here in {
            "10.20.0.5:2763": f"127.0.0.1:{port}",
            "127.0.0.1:11113": f"127.0.0.1:{gateway.getsockname()[1]}",
            "10.20.1.0/24": "127.0.0.0/8",
        }.items():
            assert there in old_tls
            old_tls = old_tls.replace(there, here)
        configuration.write_text(old_tls)
        free.close()
        told: list[Announced | None] = []
        thread = threading.Thread(target=lambda: told.append(answered(gateway)))
        thread.start()
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", configuration], stderr=subprocess.DEVNULL)
        try:
            assert said_over_old_tls(port) == ("TLSv1", "AES128-SHA", b"A-ASSOCIATE-RQ")
            thread.join(10)
        finally:
            haproxy.terminate()
            haproxy.wait(10)
    (client,) = told
    assert client is not None
    assert client.tls
    assert client.ends is not None
    assert str(client.ends[0][0]) == "127.0.0.1"


def answered(server: socket.socket) -> Announced | None:
    """Send one client back what it sends, and tell what HAProxy says of it."""
    server.settimeout(20)
    client, _ = server.accept()
    with client:
        data = b""
        while not data.endswith(b"A-ASSOCIATE-RQ"):
            data += client.recv(1000)
        length, announced = read_header(data)
        client.sendall(data[length:])
    return announced


def said_over_old_tls(port: int) -> tuple[str | None, str, bytes]:
    """What a device with TLS 1.0 and RSA key exchange has agreed, and what comes back to it."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("AES128-SHA:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1
    for _ in range(100):
        try:
            plain = socket.create_connection(("127.0.0.1", port), 10)
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    else:
        pytest.fail("HAProxy does not listen")
    with plain, old.wrap_socket(plain) as device:
        device.sendall(b"A-ASSOCIATE-RQ")
        cipher = device.cipher()
        assert cipher is not None
        return device.version(), cipher[0], device.recv(100)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit_and_little_that_is_open(tmp_path: Path) -> None:
    unit = tmp_path / "dicomgate.service"

    def asked(text: str, *question: str) -> tuple[int, str]:
        unit.write_text(text)
        command = ["systemd-analyze", *question, str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    good = text(DEPLOY / "systemd" / "dicomgate.service").replace(
        "/opt/dicomgate/current/bin/dicomgate", sys.executable
    )
    verify, exposure = ("verify", "--recursive-errors=no"), ("security", "--offline=true", "--threshold=20")
    assert asked(good, *verify) == (0, "")
    assert "Unknown key 'Restat'" in asked(good.replace("Restart=", "Restat="), *verify)[1]
    (socket_unit,) = [block.text for block in blocks(DOCS / "service.md", "ini") if "[Socket]" in block.text]
    (tmp_path / "dicomgate.socket").write_text(socket_unit)
    assert asked(good, *verify, str(tmp_path / "dicomgate.socket")) == (0, "")
    assert asked(good, *exposure)[0] == 0
    assert asked(good.replace("NoNewPrivileges=yes", "").replace("SystemCallFilter=", ""), *exposure)[0] != 0


def test_the_pages_show_what_deploy_has() -> None:
    unit = next(block.text for block in blocks(DOCS / "service.md", "ini"))
    assert unit == text(DEPLOY / "systemd" / "dicomgate.service")
    for page, file in (("tls.md", "old-tls.cfg"), ("haproxy.md", "dicomgate.cfg")):
        (shown,) = [block.text for block in blocks(DOCS / page, "text") if block.note == "haproxy"]
        assert text(DEPLOY / "haproxy" / file).partition("\n\n")[2] == shown
    for page, names in {
        "tls.md": ("certbot/dicomgate.sh", "haproxy/old-tls.cfg"),
        "haproxy.md": ("haproxy/dicomgate.cfg",),
        "containers.md": ("container", "kubernetes"),
    }.items():
        for name in names:
            assert (DEPLOY / name).exists()
            assert f"deploy/{name}" in text(DOCS / page)
