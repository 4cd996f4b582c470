"""A real OpenID provider, npm's oidc-provider on node (tests/clients/provider.mjs): stopped, started, keys rotated."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx2 as httpx
import pytest
import trustme
from joserfc.jwk import ECKey, RSAKey

from ..pages import ROOT
from .loopback import HOST, free_port
from .process import require

_CLIENTS = ROOT / "tests" / "clients"


class OidcProvider:
    """Serves https at `issuer` from `start` to `stop`; it starts again with the keys it had.

    `client_id` sends `client_secret` in the header, `client_id`-post in the form; `client_id`-key signs with
    `client_key` (PEM).
    """

    client_id = "ct-scanner"
    client_secret = "a secret of the client alone: 7Yq2mXz0"

    def __init__(self, folder: Path) -> None:
        self._node = require("node", "nodejs npm")
        if not (_CLIENTS / "node_modules" / "oidc-provider").is_dir():
            pytest.skip("oidc-provider is not installed: npm ci --prefix tests/clients --ignore-scripts")
        self._port = free_port()
        self.issuer = f"https://{HOST}:{self._port}"
        self.ca = folder / "provider-ca.pem"
        self.log = folder / "provider.log"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        self._certificate = authority.issue_cert(HOST)
        self._keys = _new_keys()
        client_key = ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)
        self.client_key = client_key.as_pem(private=True)
        self._client_keys = [dict(client_key.as_dict(private=False))]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Serve, with the keys of now. Idempotent."""
        if self._process is not None:
            return
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [self._node, _CLIENTS / "provider.mjs"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._tell(
            {
                "port": self._port,
                "certificate": b"".join(pem.bytes() for pem in self._certificate.cert_chain_pems).decode(),
                "key": self._certificate.private_key_pem.bytes().decode(),
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "client_jwks": {"keys": self._client_keys},
                "jwks": {"keys": self._keys},
            }
        )

    def stop(self) -> None:
        """Stop listening; opaque tokens that it issued are forgotten. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def rotate(self, *, keep: bool = False) -> None:
        """Sign with new keys from now on; the old ones stay in the key set only with `keep`."""
        self._keys = _new_keys() + (self._keys if keep else [])
        self._tell({"jwks": {"keys": self._keys}})

    def token(self, audience: str | None = None, scope: str = "dicom", **kind: str | int) -> str:
        """An access token: a JWT for an audience, opaque for none.

        `kind` is `alg` ("RS256", "ES256"), `lifetime` in seconds, `opaque=1`: an opaque one for the audience.
        """
        form = {"grant_type": "client_credentials", "scope": scope}
        if audience is not None:
            form["resource"] = f"{audience}?{urlencode(kind)}" if kind else audience
        issued: str = self._post("/token", form).json()["access_token"]
        return issued

    def revoke(self, token: str) -> None:
        """From now on an opaque token is not active any more."""
        self._post("/token/revocation", {"token": token})

    def _post(self, path: str, form: dict[str, str]) -> httpx.Response:
        # RFC 6749 2.3.1: both are form-encoded before they are put together.
        credentials = (quote_plus(self.client_id), quote_plus(self.client_secret))
        with httpx.Client(verify=ssl.create_default_context(cafile=self.ca), trust_env=False, timeout=20) as client:
            response = client.post(self.issuer + path, data=form, auth=credentials)
        assert response.status_code == httpx.codes.OK, (response.text, self.log.read_text())
        return response

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer == "ready\n", answer + self.log.read_text()


@contextmanager
def run_provider(folder: Path) -> Iterator[OidcProvider]:
    """Run a provider until the block ends."""
    provider = OidcProvider(folder)
    try:
        provider.start()
        yield provider
    finally:
        provider.stop()


def _new_keys() -> list[dict[str, Any]]:
    rsa = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    ec = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    return [dict(key.as_dict(private=True)) for key in (rsa, ec)]
