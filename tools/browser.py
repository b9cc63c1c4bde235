"""A Chromium without a window, spoken to over its debugging protocol: pages, devices, pictures."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-port=0 "
    "--remote-allow-origins=*"
)
# Two frames: by then a change of size or colours has reached the page.
SETTLE = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))"


def find() -> str | None:
    """The path of a Chromium, or None: $CHROMIUM if set, else the first of the usual names."""
    named = os.environ.get("CHROMIUM")
    return next((path for name in ([named] if named else NAMES) if (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Device:
    """A screen: its size in CSS pixels, whether it is a telephone, and the colours asked for."""

    name: str
    width: int
    height: int
    dark: bool = False

    @property
    def phone(self) -> bool:
        return self.width < 600


DESKTOP = Device("desktop", 1280, 900)
DESKTOP_DARK = Device("desktop-dark", 1280, 900, dark=True)
PHONE = Device("phone", 375, 812)
PHONE_DARK = Device("phone-dark", 375, 812, dark=True)
DEVICES = (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)


@dataclass
class Page:
    """One tab.  ``complaints``: errors and warnings of its console; ``requests``: all addresses asked for."""

    socket: websocket.WebSocket
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    loaded: bool = False
    count: int = 0

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; what happens meanwhile is noted."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        method, what = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in what["args"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif method == "Network.loadingFailed" and not what.get("canceled"):
            self.complaints.append(f"a request failed: {what['errorText']}")
        elif method == "Page.loadEventFired":
            self.loaded = True

    def show_on(self, device: Device) -> None:
        """Sets the size of the screen and the colours that the reader prefers."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=device.width, height=device.height, deviceScaleFactor=1, mobile=device.phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if device.dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.run(SETTLE)

    def open(self, url: str, limit: float = 60) -> None:
        """Loads an address and waits until its formulas are typeset."""
        self._load("about:blank", limit)  # another place on the page that is open would not load it
        self.complaints.clear()
        self.requests.clear()
        self._load(url, limit)
        self.run("window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => 0) : 0")

    def _load(self, url: str, limit: float) -> None:
        self.loaded = False
        self.send("Page.navigate", url=url)
        end = time.monotonic() + limit
        while not self.loaded:
            if time.monotonic() > end:
                raise TimeoutError(f"{url} did not load in {limit} s")
            self._note(json.loads(self.socket.recv()))

    def run(self, script: str) -> Any:
        """The value of a script, awaited if it is a promise."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", script))
        return result["result"].get("value")

    def press(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self) -> bytes:
        """A PNG of what the screen shows now."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])


@contextmanager
def chromium() -> Iterator[Page]:
    """A fresh browser with an empty profile and one page; closed at the end."""
    path = find()
    if path is None:
        raise FileNotFoundError("no Chromium was found: install one, or name it in $CHROMIUM")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [path, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        page = None
        try:
            page = _connect(Path(profile) / "DevToolsActivePort", process)
            yield page
        finally:
            if page is not None:
                page.socket.close()
            process.terminate()
            process.wait(timeout=20)


def _connect(port_file: Path, process: subprocess.Popen[bytes], limit: float = 60) -> Page:
    end = time.monotonic() + limit
    while not (port_file.exists() and port_file.read_text().count("\n")):
        if process.poll() is not None or time.monotonic() > end:
            raise TimeoutError(f"Chromium did not start in {limit} s")
        time.sleep(0.05)
    port, path = port_file.read_text().split("\n")[:2]
    browser = Page(websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=120))
    target = browser.send("Target.createTarget", url="about:blank")["targetId"]
    browser.socket.close()
    page = Page(websocket.create_connection(f"ws://127.0.0.1:{port}/devtools/page/{target}", timeout=120))
    for domain in ("Page", "Runtime", "Log", "Network"):
        page.send(f"{domain}.enable")
    return page
