"""A headless browser, driven by the WebDriver protocol (https://www.w3.org/TR/webdriver2/)."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
AXE = ROOT / "build" / "node_modules" / "axe-core" / "axe.min.js"  # npm install --prefix build axe-core
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
_START_S, _ANSWER_S = 60.0, 120.0
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # key of an element's reference (WebDriver, 12.1)


def drivers() -> list[str]:
    """Return the driver of an installed Chromium; none where there is no browser or no driver of it."""
    driver = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    return [driver] if driver and browser else []


class Browser:
    """One window."""

    def __init__(self, url: str) -> None:
        self._url = url
        options = {"goog:chromeOptions": {"args": list(_ARGUMENTS)}, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._send("POST", "", {"capabilities": {"alwaysMatch": options}})
        self._url = f"{url}/{answer['sessionId']}"

    def _send(self, method: str, path: str, values: Mapping[str, Any] | None = None) -> Any:
        data = None if values is None else json.dumps(values).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            return json.loads(answer.read())["value"]

    def devtools(self, command: str, **values: Any) -> Any:
        """Run a command of Chromium's DevTools protocol."""
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": values})

    def size(self, width: int, height: int) -> None:
        """Make the page so large, in CSS pixels; below 600 it is a phone's."""
        shown = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", **shown)

    def prefer(self, scheme: str) -> None:
        """Say that the user prefers "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def open(self, page: Path) -> None:
        """Open a file."""
        self._send("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript; return what it returns, of a promise its value."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> str:
        """Return the first element of a CSS selector."""
        found = self._send("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def keys(self, element: str, text: str) -> None:
        """Type into an element."""
        self._send("POST", f"/element/{element}/value", {"text": text})

    def drag(self, element: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Move the mouse with its button pressed; places are pixels from the element's middle."""
        at = {_ELEMENT: element}
        move = [{"type": "pointerMove", "origin": at, "x": x, "y": y} for x, y in (start, end)]
        down, up = ({"type": f"pointer{which}", "button": 0} for which in ("Down", "Up"))
        actions: Sequence[Any] = [move[0], down, move[1], up]
        pointer = {
            "type": "pointer",
            "id": "mouse",
            "parameters": {"pointerType": "mouse"},
            "actions": actions,
        }
        self._send("POST", "/actions", {"actions": [pointer]})

    def messages(self) -> list[str]:
        """Return what the browser complained of, such as what the page's policy forbids."""
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})]

    def screenshot(self) -> bytes:
        """Return the window as PNG."""
        return base64.b64decode(self._send("GET", "/screenshot"))

    def close(self) -> None:
        """End the browser."""
        self._send("DELETE", "")


@contextlib.contextmanager
def opened(driver: str) -> Iterator[Browser]:
    """Start a driver and a browser, and end both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        browser = Browser(f"http://127.0.0.1:{port}/session")
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    """Wait until something listens at a port of this machine."""
    until = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
