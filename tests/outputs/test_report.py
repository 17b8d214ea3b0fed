"""report.html: in a real browser, without network, with hostile names, by mouse and keyboard."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from prediction_records import HOSTILE
from report_pages import COUNT, check_quiet, emulated, load, open_browser, press, shown, write_page
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select


@pytest.fixture(scope="module")
def browser():
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("secret place"))


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
    label = browser.find_element(By.ID, "page")
    first = shown(browser)
    press(browser, Keys.ARROW_RIGHT)
    assert label.text == "page 2 of 3" and not set(shown(browser)) & set(first)
    press(browser, Keys.ARROW_RIGHT)
    press(browser, Keys.ARROW_RIGHT)
    assert label.text == "page 3 of 3" and len(shown(browser)) == COUNT - 96
    for _ in range(3):
        press(browser, Keys.ARROW_LEFT)
    assert label.text == "page 1 of 3" and shown(browser) == first
    press(browser, "m")
    assert not browser.find_elements(By.CSS_SELECTOR, "#photos img.mask")
    press(browser, "m")
    assert browser.find_elements(By.CSS_SELECTOR, "#photos img.mask")
    browser.execute_script("document.querySelector('.photo').focus()")
    press(browser, Keys.ENTER)
    dialog, facts = (browser.find_element(By.ID, name) for name in ("large", "facts"))
    assert dialog.is_displayed() and first[0] in facts.text
    press(browser, Keys.ARROW_RIGHT)
    assert first[1] in facts.text and first[0] not in facts.text
    press(browser, Keys.ESCAPE)
    assert not dialog.is_displayed()
    press(browser, "/")
    press(browser, "0104")
    assert shown(browser) == ["site0/IMG_0104.JPG"]
    check_quiet(browser, *first[:2])


def test_dark_mode(browser, page):
    load(browser, page)
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(colour)
    with emulated(browser, "dark"):
        dark = browser.execute_script(colour)
    brightness = [sum(map(int, re.findall(r"\d+", text)[:3])) for text in (light, dark)]
    assert brightness[0] > 600 and brightness[1] < 150


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


def test_on_a_phone_the_photos_come_before_the_tables(browser, page):
    for width, first in ((390, ["Summary", "Photos", "Species"]),
                         (1280, ["Summary", "Species", "Activity by hour"])):
        load(browser, page, width)
        assert [title.text for title in browser.find_elements(By.TAG_NAME, "h2")][:3] == first
        links = browser.find_elements(By.CSS_SELECTOR, "nav a")
        assert [link.text for link in links][:3] == first
        tops = [browser.find_element(By.CSS_SELECTOR, link.get_attribute("hash")).location["y"]
                for link in links]
        assert tops == sorted(tops) and len(tops) >= 5


def test_the_colours_are_named_and_all_species_have_one_scale(browser, page):
    load(browser, page)
    legend = {item.text: item.find_element(By.CLASS_NAME, "swatch").value_of_css_property(
        "background-color") for item in browser.find_elements(By.CSS_SELECTOR, "#legend li")}
    assert list(legend) == ["fox", "snow hare", "black bear", "unknown"]
    charts = browser.find_elements(By.CSS_SELECTOR, "#activity svg")
    numbers = [[text.text for text in chart.find_elements(By.TAG_NAME, "text")]
               for chart in charts]
    assert len(charts) == 2 and numbers[0] == numbers[1]
    for name, chart in zip(("fox", "snow hare"), charts, strict=True):
        bars = chart.find_elements(By.CSS_SELECTOR, ".bar")
        # 35 photos of each in 105 hours that go round the clock: some in four hours, some in five.
        assert sum(int(bar.find_element(By.TAG_NAME, "title").get_attribute("textContent")
                       .split(": ")[1]) for bar in bars) == 35
        fill = bars[0].value_of_css_property("fill")
        assert re.findall(r"\d+", fill)[:3] == re.findall(r"\d+", legend[name])[:3]
