"""Headless Chromium, driven over its DevTools protocol.

The protocol runs over a pair of pipes (--remote-debugging-pipe), messages of JSON that end with a
zero byte; so no driver and no package is needed beside Debian's chromium.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any

# Generous: where this passes, something hangs.
REPLY_SECONDS = 60.0
MESSAGE_BYTES_MAX = 64 << 20

_NAMES = ("chromium", "chromium-headless-shell", "chromium-browser")

# Keys of a keyboard that the tests press, with what the protocol wants to know of them.
_KEYS = {
    "Enter": {"code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
    "Escape": {"code": "Escape", "windowsVirtualKeyCode": 27},
    "Tab": {"code": "Tab", "windowsVirtualKeyCode": 9},
}


def executable() -> str | None:
    """Where Chromium is; None: it isn't installed."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class PageError(Exception):
    """What a script in the page has thrown, or a command that the browser refused."""


class Browser:
    """One Chromium. `page()` opens a tab."""

    def __init__(self) -> None:
        # Its helper processes may write for a moment after its end.
        self._profile = tempfile.TemporaryDirectory(
            prefix="ringstore-browser-", ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The protocol's pipes are the descriptors 3 and 4. Above 9, they aren't overwritten.
        high = [os.dup2(fd, fd + 40) for fd in (to_browser, from_browser)]
        command = [
            executable() or "chromium", "--headless=new", "--remote-debugging-pipe",
            f"--user-data-dir={self._profile.name}", "--no-first-run", "--disable-gpu",
            # Containers have no user namespaces and a small /dev/shm; the pages are our own.
            "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--force-color-profile=srgb", "about:blank",
        ]
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{high[0]} 4>&{high[1]}; exec "$@"', "bash", *command],
            pass_fds=high, stdout=self._log, stderr=self._log)
        for fd in (to_browser, from_browser, *high):
            os.close(fd)
        self._next = 0
        self._rest = b""
        self._events: list[dict[str, Any]] = []

    def page(self) -> "Page":
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, target, session)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._log.close()
        self._profile.cleanup()

    def command(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._next += 1
        number = self._next
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            reply = self._receive(REPLY_SECONDS)
            if reply is None:
                raise PageError(f"no reply to {method}: {self._logged()}")
            if reply.get("id") != number:
                self._events.append(reply)
            elif "error" in reply:
                raise PageError(f"{method}: {reply['error']['message']}")
            else:
                return reply["result"]

    def take_events(self, session: str) -> list[dict[str, Any]]:
        """What the browser has told of a tab since the last time."""
        taken = [e for e in self._events if e.get("sessionId") == session]
        self._events = [e for e in self._events if e.get("sessionId") != session]
        return taken

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        end = time.monotonic() + seconds
        while b"\0" not in self._rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                return None
            data = os.read(self._read, 1 << 20)
            if not data or len(self._rest) > MESSAGE_BYTES_MAX:
                raise PageError(f"the browser has ended: {self._logged()}")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _logged(self) -> str:
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace")


class Page:
    """One tab."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session
        self._events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._do(f"{domain}.enable")

    def _do(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.command(method, self._session, **params)

    def close(self) -> None:
        self._browser.command("Target.closeTarget", targetId=self._target)

    # MARK: What it is shown as

    def set_size(self, width: int, height: int = 900) -> None:
        self._do("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)

    def set_media(self, **features: str) -> None:
        """`set_media(prefers_color_scheme="dark")`"""
        self._do("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def picture(self) -> bytes:
        """All of the page as PNG."""
        size = self._do("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._do("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    # MARK: What is done with it

    def open(self, url: str) -> None:
        self._do("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to; promises are awaited."""
        result = self._do("Runtime.evaluate", expression=expression, returnByValue=True,
                          awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def until(self, expression: str) -> Any:
        """Waits until an expression is true, and returns what it is."""
        end = time.monotonic() + REPLY_SECONDS
        while time.monotonic() < end:
            value = self.value(expression)
            if value:
                return value
            # The browser's own clock: between two looks the page continues.
            self.value("new Promise((done) => setTimeout(done, 20))")
        raise PageError(f"never true: {expression}\n{self.text()[-3000:]}")

    def text(self, selector: str = "body") -> str:
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector: str) -> None:
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, text: str) -> None:
        """Types into what has the focus."""
        self._do("Input.insertText", text=text)

    def press(self, key: str) -> None:
        known = _KEYS[key]
        self._do("Input.dispatchKeyEvent", type="keyDown", key=key, **known)
        self._do("Input.dispatchKeyEvent", type="keyUp", key=key,
                 **{k: v for k, v in known.items() if k != "text"})

    def on_each_document(self, script: str) -> None:
        """Has a script run in each document before its own."""
        self._do("Page.addScriptToEvaluateOnNewDocument", source=script)

    # MARK: What happened

    def events(self, method: str) -> list[dict[str, Any]]:
        """What the browser has told of one kind, from the beginning."""
        self.value("0")
        self._events += self._browser.take_events(self._session)
        return [e["params"] for e in self._events if e.get("method") == method]

    def complaints(self) -> list[str]:
        """Uncaught errors, and what the console says of the policy (CSP) and of mistakes. Replies
        that are no success are the test's business."""
        found = [
            e["exceptionDetails"].get("exception", {}).get("description", "an exception")
            for e in self.events("Runtime.exceptionThrown")
        ]
        found += [
            e["entry"]["text"] for e in self.events("Log.entryAdded")
            if e["entry"]["level"] == "error" and e["entry"]["source"] != "network"
        ]
        found += [
            str(e["args"]) for e in self.events("Runtime.consoleAPICalled") if e["type"] == "error"
        ]
        return found

    def requests(self) -> list[str]:
        """The addresses that were asked."""
        return [e["request"]["url"] for e in self.events("Network.requestWillBeSent")]
