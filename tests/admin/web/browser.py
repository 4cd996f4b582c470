"""Chromium without a screen, driven by ChromeDriver's own protocol (W3C WebDriver): a few requests need no library."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dicomgate.testing.peers.loopback import free_port, wait_until

ABSENT = shutil.which("chromedriver") is None or shutil.which("chromium") is None
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A context manager: one window, which keeps its cookies until the block ends. `folder` is for its profile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._driver = f"http://127.0.0.1:{free_port()}"
        self._session = ""

    def __enter__(self) -> Browser:
        port = self._driver.rpartition(":")[2]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=quiet, stderr=quiet)
        wait_until(self._is_ready, "ChromeDriver")
        options = {"args": [*_FLAGS, f"--user-data-dir={self._folder}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}, "acceptInsecureCerts": True}
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("DELETE", self._session)
        self._process.terminate()
        self._process.wait()

    def go(self, url: str) -> None:
        """Open the page, and wait until it is loaded."""
        self._do("/url", url=url)

    def js(self, script: str) -> Any:
        """What the script returns."""
        return self._do("/execute/sync", script=script, args=[])

    def click(self, css: str) -> None:
        """Click the first element that the selector finds."""
        self._do(f"/element/{self._find(css)}/click")

    def type(self, css: str, text: str) -> None:
        """Type into the element."""
        self._do(f"/element/{self._find(css)}/value", text=text)

    def text(self, css: str = "body") -> str:
        """The text that is seen in the element."""
        return str(self._ask("GET", f"{self._session}/element/{self._find(css)}/text"))

    def shows(self, text: str, css: str = "body") -> None:
        """Wait until the text is seen in the element."""
        wait_until(lambda: self._has(text, css), f"{text!r} in {css}")

    def cdp(self, command: str, **params: Any) -> Any:
        """Chromium's own protocol: dark, narrow, without scripts."""
        return self._do("/goog/cdp/execute", cmd=command, params=params)

    def complaints(self) -> list[str]:
        """What the browser has said on its console since it was asked last: errors, violations of the policy."""
        return [entry["message"] for entry in self._do("/se/log", type="browser")]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A screenshot, as PNG."""
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the window, and the colours that its user prefers."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])

    def _has(self, text: str, css: str) -> bool:
        try:
            return text in self.text(css)
        except urllib.error.HTTPError:  # the page is being exchanged for the next one
            return False

    def _find(self, css: str) -> str:
        return str(self._do("/element", using="css selector", value=css)[_ELEMENT])

    def _do(self, path: str, **values: Any) -> Any:
        return self._ask("POST", self._session + path, values)

    def _is_ready(self) -> bool:
        try:
            return bool(self._ask("GET", "/status")["ready"])
        except OSError:
            return False

    def _ask(self, method: str, path: str, values: dict[str, Any] | None = None) -> Any:
        data = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self._driver + path, data, {"content-type": "application/json"}, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)["value"]
