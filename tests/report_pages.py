"""What the tests of report.html share: a browser, a page with hostile names, what is seen of it."""

import json
import os
import shutil
from contextlib import contextmanager
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from prediction_records import FULL_INFO, HOSTILE, predicted, with_box, write_records
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.bursts import read_bursts
from camera_trapinator.outputs.report import write_report

COUNT = 110  # photos: three pages


@contextmanager
def open_browser(*words):
    """A browser that tells of every request and of every line on its console; `words` are further
    ones for its command line."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        # Continuous integration installs them; there nothing is skipped.
        assert not os.environ.get("CI"), "chromium and chromedriver are not installed"
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900",
                 "--disable-background-networking", *words):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    with webdriver.Chrome(options=options, service=service) as found:
        yield found


def write_folder(folder) -> tuple:
    """Photos with foxes, hares and nothing, and their records; two of them hostile, one torn."""
    records = []
    for number in range(COUNT - 5):
        species = number % 3
        mask = with_box(10, 12 + species, 14, 20, species=species or 1) * bool(species)
        records.append(predicted(
            f"site{number % 4}/IMG_{number:04}.JPG", mask.astype(np.uint8),
            np.full((20, 30), 0.9 - number / 200, np.float32), location=f"site{number % 4}",
            datetime=f"2024-05-01 {number % 24:02}:00:00", infrared=number % 5 == 0))
    records += [predicted(name, with_box(3, 3, 9, 9), location="</script><b>site")
                for name in HOSTILE]
    for record in records:
        path = folder / record["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (30, 90, 60)).save(path, "JPEG")
    records.append(failure_record("torn.jpg", "truncated", location="site0"))
    return records, [f"s#{number // 2}" for number in range(len(records))]


def write_page(folder):
    """The page of these photos, which lie beside it in card/."""
    records, sequences = write_folder(folder / "card")
    path = write_records(folder / "p.jsonl", records, FULL_INFO)
    write_report(path, folder / "card", folder / "report.html", 'Card <of> "May" & June',
                 read_bursts(path, sequences))
    return folder / "report.html"


@contextmanager
def emulated(browser, scheme):
    """As if the system were light or dark."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def press(browser, *keys):
    for key in keys:
        webdriver.ActionChains(browser).send_keys(key).perform()


def shown(browser) -> list[str]:
    """The names of the photos on the page, in their order."""
    # One name is no Unicode, which the driver cannot hand over.
    return browser.execute_script("return [...document.querySelectorAll('.photo .text div')]"
                                  ".map((name) => name.textContent.toWellFormed())")


def load(browser, path, width=1280, height=900):
    browser.set_window_size(width, height)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get("file://" + quote(str(path)))
    WebDriverWait(browser, 20).until(lambda found: found.find_elements(
        By.CSS_SELECTOR, ".photo img"))


def check_quiet(browser, *photos):
    """No line on the console, no request but for the page itself and for photos beside it."""
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in asked
            if event["method"] == "Network.requestWillBeSent"}
    folder = browser.current_url.rpartition("/")[0]
    assert {url for url in urls if not url.startswith("data:")} == {
        browser.current_url, *(f"{folder}/card/{photo}" for photo in photos)}
