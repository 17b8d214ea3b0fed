"""report.html: in a real browser, without network, with hostile names, by mouse and keyboard."""

import base64
import io
import json
import os
import re
import shutil
from urllib.parse import quote

import numpy as np
import pytest
from conftest import run_script
from PIL import Image
from prediction_records import FULL_INFO, HOSTILE, predicted, with_box, write_records
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from camera_trapinator.outputs.blobs import failure_record
from camera_trapinator.outputs.report import write_report

COUNT = 110  # photos: three pages


@pytest.fixture(scope="module")
def browser():
    """A browser that tells of every request and of every line on its console."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        # Continuous integration installs them; there nothing is skipped.
        assert not os.environ.get("CI"), "chromium and chromedriver are not installed"
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
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


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secret place")
    records, sequences = write_folder(folder / "card")
    path = write_records(folder / "p.jsonl", records, FULL_INFO)
    write_report(path, folder / "card", folder / "report.html", 'Card <of> "May" & June', sequences)
    return folder / "report.html"


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


def check_quiet(browser):
    """No line on the console, no request but for the page itself."""
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in asked
            if event["method"] == "Network.requestWillBeSent"}
    assert [url for url in urls if not url.startswith("data:")] == [browser.current_url]


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 800)])
def test_the_page_opens_from_disk_and_asks_for_nothing(browser, page, width, height):
    load(browser, page, width, height)
    check_quiet(browser)
    assert browser.title == 'Card <of> "May" & June'
    assert browser.find_element(By.ID, "count").text == f"{COUNT} photos"
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= browser.execute_script("return window.innerWidth")
    cards = [card.text.split("\n") for card in browser.find_elements(By.CSS_SELECTOR, ".card")]
    assert [value for value, _ in cards] == ["110", "74", "35", "1"]
    broken = browser.execute_script(
        "return [...document.images].filter((i) => i.complete && !i.naturalWidth).length")
    assert broken == 0


def test_hostile_names_are_nothing_but_text(browser, page):
    load(browser, page)
    search = browser.find_element(By.ID, "search")
    search.send_keys("onerror")
    assert shown(browser) == [HOSTILE[0]]
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src=x]")
    assert not browser.find_elements(By.CSS_SELECTOR, "main b b")
    names = [option.text for option in Select(browser.find_element(By.ID, "location")).options]
    assert "</script><b>site" in names
    check_quiet(browser)


def test_filters_and_orders(browser, page):
    load(browser, page)
    choose = {name: Select(browser.find_element(By.ID, name))
              for name in ("state", "species", "location", "order", "drawn")}
    count = browser.find_element(By.ID, "count")
    assert choose["order"].first_selected_option.text == "least confident first"
    first = shown(browser)[0]
    assert first == "site0/IMG_0080.JPG"  # of 0.5
    choose["order"].select_by_visible_text("name")
    assert shown(browser) == sorted(shown(browser)) and len(shown(browser)) == 48
    choose["species"].select_by_visible_text("snow hare")
    assert count.text == "35 photos"
    choose["location"].select_by_visible_text("site1")
    assert {name.split("/")[0] for name in shown(browser)} == {"site1"}
    choose["location"].select_by_visible_text("all")
    choose["species"].select_by_visible_text("all")
    choose["state"].select_by_visible_text("could not be read")
    assert shown(browser) == ["torn.jpg"]
    choose["state"].select_by_visible_text("empty")
    assert count.text == "35 photos"
    choose["state"].select_by_visible_text("all photos")
    masks = "document.querySelectorAll('#photos img.mask').length"
    assert browser.execute_script(f"return {masks}") > 10
    choose["drawn"].select_by_visible_text("boxes")
    assert browser.execute_script(f"return {masks}") == 0
    assert browser.find_elements(By.CSS_SELECTOR, "#photos .box")
    check_quiet(browser)


def test_it_works_by_keyboard_alone(browser, page):
    load(browser, page)
    def press(key):
        webdriver.ActionChains(browser).send_keys(key).perform()
    label = browser.find_element(By.ID, "page")
    first = shown(browser)
    press(Keys.ARROW_RIGHT)
    assert label.text == "page 2 of 3" and not set(shown(browser)) & set(first)
    press(Keys.ARROW_RIGHT)
    press(Keys.ARROW_RIGHT)
    assert label.text == "page 3 of 3" and len(shown(browser)) == COUNT - 96
    for _ in range(3):
        press(Keys.ARROW_LEFT)
    assert label.text == "page 1 of 3" and shown(browser) == first
    press("m")
    assert not browser.find_elements(By.CSS_SELECTOR, "#photos img.mask")
    press("m")
    assert browser.find_elements(By.CSS_SELECTOR, "#photos img.mask")
    browser.execute_script("document.querySelector('.photo').focus()")
    press(Keys.ENTER)
    dialog, facts = (browser.find_element(By.ID, name) for name in ("large", "facts"))
    assert dialog.is_displayed() and first[0] in facts.text
    press(Keys.ARROW_RIGHT)
    assert first[1] in facts.text and first[0] not in facts.text
    press(Keys.ESCAPE)
    assert not dialog.is_displayed()
    press("/")
    press("0104")
    assert shown(browser) == ["site0/IMG_0104.JPG"]
    check_quiet(browser)


def test_dark_mode(browser, page):
    load(browser, page)
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(colour)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    dark = browser.execute_script(colour)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    brightness = [sum(map(int, re.findall(r"\d+", text)[:3])) for text in (light, dark)]
    assert brightness[0] > 600 and brightness[1] < 150


def test_the_page_of_an_evaluation_shows_the_scores_of_its_report(browser, trained):
    result = run_script("test.py", "--run", "shapes", "outputs=report", runs=trained)
    assert result.returncode == 0, result.stderr
    out = trained / "shapes/test"
    load(browser, out / "report.html")
    report = json.loads((out / "report.json").read_text())
    cards = [card.text.split("\n")[0] for card in browser.find_elements(By.CSS_SELECTOR, ".card")]
    assert cards[-2:] == [f"{report['mean_iou']:.3f}", f"{report['foreground_iou']:.3f}"]
    fox = browser.find_elements(By.CSS_SELECTOR, "#classes tbody tr")[1].text
    assert fox.startswith("fox") and f"{report['classes']['fox']['iou']:.3f}" in fox
    titles = [title.text for title in browser.find_elements(By.CSS_SELECTOR, "h2")]
    assert titles[:7] == ["Summary", "Classes", "Where it holds", "Is this photo empty?",
                          "Is it this species?", "Confusion", "Species"]
    found = report["reliability"]
    section = browser.find_element(By.ID, "reliability").text
    assert f"error {found['expected_calibration_error']:.3f}, {found['blobs']} animals" in section
    drawn = Select(browser.find_element(By.ID, "drawn"))
    drawn.select_by_visible_text("true mask")
    masks = browser.find_elements(By.CSS_SELECTOR, "#photos img.mask")
    assert len(masks) == 4  # of 6 photos two are empty
    check_quiet(browser)


def test_no_path_of_the_machine_and_every_thumbnail_is_in_it(page):
    text = page.read_text(encoding="utf-8")
    assert "secret" not in text and str(page.parent) not in text
    assert not re.search(r"""(src|href)=["']?(https?:|//|/)""", text)
    chunks = re.findall(r'id="thumbnails-\d+">(.*?)</script>', text, re.DOTALL)
    pictures = [item for chunk in chunks for item in json.loads(chunk)]
    assert len(pictures) == COUNT and pictures[-1] == [None, None, None]
    photo = Image.open(io.BytesIO(base64.b64decode(pictures[1][0])))
    mask = Image.open(io.BytesIO(base64.b64decode(pictures[1][1])))
    assert photo.size == mask.size and mask.info["transparency"] == 0
    assert set(np.unique(np.array(mask))) == {0, 1}
