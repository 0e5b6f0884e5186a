"""Times the report's page in headless Chromium: first paint, and until the last figure is drawn.

``python -m benchmarks.report_paint [--runs 5]``, with Selenium (``pip install '.[browser]'``) and Chromium. The least
of the runs counts; the page is one file on disk, of 150 layers and 400 trials, and of 1,400 and 400 pixels.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from haqc.passes.report.html import render_html
from tests.passes.report_pages import deep, resnet8

MOST_PAINT_S = 1.5
PAINTED = "return performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime / 1000)[0]"
READY = "return document.documentElement.dataset.ready === 'true' ? performance.now() / 1000 : null"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    driver, worst = browser(), 0.0
    try:
        with tempfile.TemporaryDirectory() as folder:
            print("| page | pixels | MB | first paint s | all figures s |")
            print("|---|---|---|---|---|")
            for name, content in (("ResNet-8", resnet8()), ("150 layers", deep())):
                path = Path(folder) / "report.html"
                path.write_text(render_html(content), encoding="utf-8")
                for width in (1400, 400):
                    times = [once(driver, path, width) for _ in range(runs)]
                    paint, ready = min(paint for paint, _ in times), min(ready for _, ready in times)
                    worst = max(worst, paint)
                    size = path.stat().st_size / 1e6
                    print(f"| {name} | {width} | {size:.2f} | {paint:.2f} | {ready:.2f} |")
    finally:
        driver.quit()
    if worst >= MOST_PAINT_S:
        sys.exit(f"the first paint took {worst:.2f} s, and {MOST_PAINT_S} s is the most it may take")


def browser() -> Any:
    """Starts Chromium without a window."""
    from selenium import webdriver  # noqa: PLC0415

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def once(driver: Any, path: Path, width: int) -> tuple[float, float]:
    """Opens the page anew; gives seconds until its text stands, and until all figures do."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get("about:blank")
    driver.get(path.as_uri())
    while (ready := driver.execute_script(READY)) is None:
        time.sleep(0.01)
    return float(driver.execute_script(PAINTED)), float(ready)


if __name__ == "__main__":
    main()
