# SPDX-License-Identifier: AGPL-3.0-only
"""Chromium without a window, driven by its own driver: WebDriver over HTTP, as far as the tests of
the page need it."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WITHIN_S = 60
TAB, ENTER = "\ue004", "\ue007"


def is_here() -> bool:
    return bool(shutil.which("chromedriver") and shutil.which("chromium"))


class Browser:
    def __init__(self, port: int):
        self.folder = tempfile.TemporaryDirectory(prefix="chromium-")
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}", "--log-level=SEVERE"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        self.wait(self.is_ready)
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "acceptInsecureCerts": True,
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--lang=en-US", f"--user-data-dir={self.folder.name}"]}}}})
        self.base += f"/session/{session['sessionId']}"

    def end(self):
        try:
            self.call("DELETE", "")
        except (OSError, AssertionError):
            pass
        self.driver.terminate()
        self.driver.wait(timeout=30)
        self.folder.cleanup()

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + path, method=method, headers={"Content-Type": "application/json"},
            data=json.dumps(body or {}).encode() if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=2 * WITHIN_S) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"].split("\n")[0]) from None

    @staticmethod
    def wait(condition, what="it"):
        """Until it holds, without an error; its value."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                value = condition()
            except AssertionError as error:
                value, what = None, error
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {WITHIN_S} s: {what}")
            time.sleep(0.1)

    def developer(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, dark=False, phone=False, still=True):
        """Chooses what the browser says of its user and its window."""
        self.developer("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}])
        width, height = (390, 844) if phone else (1100, 720)
        self.developer("Emulation.setDeviceMetricsOverride", width=width, height=height,
                       deviceScaleFactor=1, mobile=phone)

    def open(self, address):
        self.call("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        return self.call("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def all(self, xpath):
        return self.call("POST", "/elements", {"using": "xpath", "value": xpath})

    def find(self, xpath):
        """The one that is shown, once it is there."""
        def shown():
            found = [one for one in self.all(xpath)
                     if self.call("GET", f"/element/{one[ELEMENT]}/displayed")]
            return found[0] if found else None
        return self.wait(shown, xpath)

    def click(self, xpath):
        # The page may show itself anew in between.
        self.wait(lambda: self.call(
            "POST", f"/element/{self.find(xpath)[ELEMENT]}/click") is None, xpath)

    def type(self, xpath, text):
        found = self.find(xpath)[ELEMENT]
        self.call("POST", f"/element/{found}/clear")
        self.call("POST", f"/element/{found}/value", {"text": text})

    def press(self, keys):
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]}]})

    def text(self, xpath="//body"):
        return self.call("GET", f"/element/{self.find(xpath)[ELEMENT]}/text")

    def shows(self, text, xpath="//body"):
        return self.wait(lambda: text in self.text(xpath), f"no '{text}' in {xpath}")

    def complaints(self):
        """What the browser's console has got."""
        return [line["message"] for line in self.call("POST", "/se/log", {"type": "browser"})
                if "favicon" not in line["message"]]

    def picture(self) -> bytes:
        return base64.b64decode(self.call("GET", "/screenshot"))
