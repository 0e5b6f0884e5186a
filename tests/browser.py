"""Headless Chromium, driven by Selenium; tests that want it are skipped, saying so, where either is absent.

A plugin: test files name it in ``pytest_plugins``. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_READY_S = 30
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")


@dataclass
class Browser:
    """One window."""

    driver: Any

    def open(self, page: Path, width: int, theme: str = "light") -> None:
        """Opens a page of a report and waits until its figures are drawn."""
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self._resize(width, 900)
        self.driver.get(page.as_uri())
        self.wait("return document.documentElement.dataset.ready === 'true'")

    def wait(self, script: str) -> None:
        """Waits until a script gives true."""
        end = time.monotonic() + _READY_S
        while not self.run(script):
            complaints = self.complaints()
            assert not complaints and time.monotonic() < end, f"not true within {_READY_S} s: {script} {complaints}"
            time.sleep(0.05)

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs a script in the page and gives what it returns."""
        return self.driver.execute_script(script, *arguments)

    def send(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command of the DevTools protocol."""
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, parameters)
        return answer

    def click(self, x: float, y: float) -> None:
        """Clicks at a point of the window."""
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def move(self, x: float, y: float) -> None:
        """Moves the pointer."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def complaints(self) -> list[str]:
        """Gives what the page wrote to the console since it was last asked: errors, refusals of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def screenshot(self, path: Path, width: int) -> None:
        """Saves the whole page as a picture."""
        height = self.run("return document.documentElement.scrollHeight")
        self._resize(width, min(height, 12_000))
        self.driver.save_screenshot(str(path))

    def _resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a file."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs Selenium: pip install '.[browser]'")
    chrome, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chrome is None or driver is None:
        pytest.skip("needs Chromium and its driver, such as Debian's packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chrome
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(opened)
    finally:
        opened.quit()
