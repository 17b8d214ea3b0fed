"""report.html: the photo itself in the large view, and marks that become labels."""

import shutil
import time

import numpy as np
import pytest
from label_files import imported, masks_of
from PIL import Image
from prediction_records import FULL_INFO, predicted, rows_of, with_box, write_records
from report_pages import load, open_browser, press
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from camera_trapinator.outputs.bursts import read_bursts
from camera_trapinator.outputs.report import write_report

SIZE = (600, 400)
FOX, HARE = (with_box(100, 120, 90, 200, species, SIZE[::-1]) for species in (1, 2))
NOTHING = with_box(0, 0, 0, 0, size=SIZE[::-1])
PHOTOS = {"a/fox.jpg": FOX, "a/lynx, cub.jpg": HARE, "b/=stone.jpg": FOX, "b/grass.jpg": NOTHING,
          "b/half.jpg": FOX, "b/seen by nobody.jpg": FOX}


@pytest.fixture(scope="module")
def browser():
    with open_browser() as found:
        yield found


@pytest.fixture
def results(tmp_path):
    """A page of six photos, which lie beside it in card/."""
    records = []
    for number, (name, mask) in enumerate(PHOTOS.items()):
        path = tmp_path / "card" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (40 * number, 90, 60)).save(path)
        records.append(predicted(name, mask, location=name[0], sure=0.9,
                                 made_of=[path.stat().st_size, 1, 0.0, 0.0]))
    path = write_records(tmp_path / "predictions.jsonl", records, FULL_INFO)
    write_report(path, tmp_path / "card", tmp_path / "report.html", "Card",
                 read_bursts(path, [""] * len(records)))
    return tmp_path


def in_order(browser, page):
    load(browser, page)
    Select(browser.find_element(By.ID, "order")).select_by_visible_text("name")


def open_first(browser, page):
    in_order(browser, page)
    browser.execute_script("document.querySelector('.photo').click()")


def width_shown(browser) -> int:
    return browser.execute_script("return document.querySelector('#stage img').naturalWidth")


def wait(browser, condition):
    WebDriverWait(browser, 20).until(lambda _: condition())


def small(browser) -> str:
    return browser.find_element(By.ID, "small").text


def saved(browser, folder):
    """The marks that the page's button saves."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior",
                            {"behavior": "allow", "downloadPath": str(folder)})
    browser.find_element(By.ID, "save").click()
    wait(browser, lambda: (folder / "marks.csv").exists())
    time.sleep(0.2)  # it is renamed when it is whole, and then touched once more
    return folder / "marks.csv"


def test_marks_set_by_keyboard_become_labels(browser, results, tmp_path):
    open_first(browser, results / "report.html")
    press(browser, "r", Keys.ARROW_RIGHT, "o", "lynx", Keys.ENTER, Keys.ARROW_RIGHT, "e",
          Keys.ARROW_RIGHT, "r", Keys.ARROW_RIGHT, "w", Keys.ARROW_RIGHT, "w", "w")
    pressed = browser.find_elements(By.CSS_SELECTOR, "#verdicts [aria-pressed=true]")
    assert pressed == []  # the second w has taken the mark away
    press(browser, Keys.ESCAPE)
    assert browser.find_element(By.ID, "marked").text == "5 photos marked"
    badges = [badge.text for badge in browser.find_elements(By.CSS_SELECTOR, ".photo .mark")]
    assert badges == ["right", "lynx", "nothing there", "right", "wrong", ""]
    path = saved(browser, tmp_path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbffile,predicted,verdict,species,")
    rows = [[row[key] for key in ("predicted", "verdict", "species", "model", "weights")]
            for row in rows_of(path)]
    run = [FULL_INFO["model"], FULL_INFO["weights"]]
    assert rows == [["fox", "right", "fox", *run], ["snow hare", "other", "lynx", *run],
                    ["fox", "empty", "empty", *run], ["empty", "right", "empty", *run],
                    ["fox", "wrong", "", *run]]

    told = imported("review", path, "--predictions", results, "--images", results / "card",
                    "--out", tmp_path / "out")
    masks, names = masks_of(tmp_path / "out")
    assert names == ["background", "fox", "snow hare", "black bear", "lynx"]
    assert np.array_equal(masks["card/a/fox.jpg"], FOX)
    assert np.array_equal(masks["card/a/lynx, cub.jpg"], 2 * HARE)  # class 4 in place of 2
    assert masks["card/b/=stone.jpg"] == masks["card/b/grass.jpg"] == "background"
    assert masks["card/b/half.jpg"] == "" and len(masks) == 5
    assert "1 photos are marked as wrong: unlabelled, draw them" in told


def test_marks_outlive_the_page_but_not_the_prediction(browser, results):
    page = results / "report.html"
    in_order(browser, page)
    browser.execute_script("localStorage.clear()")  # of the tests before
    in_order(browser, page)
    browser.execute_script("document.querySelector('.photo').focus()")
    press(browser, "r")  # in the gallery, too
    in_order(browser, page)
    assert browser.find_element(By.ID, "marked").text == "1 photo marked"
    Select(browser.find_element(By.ID, "state")).select_by_visible_text("marked")
    assert browser.find_element(By.ID, "count").text == "1 photo"
    info = {**FULL_INFO, "weights": "other"}
    records = [predicted(name, mask) for name, mask in PHOTOS.items()]
    new = write_records(results / "new.jsonl", records, info)
    write_report(new, results / "card", page, "Card", read_bursts(new, [""] * len(records)))
    in_order(browser, page)
    assert browser.find_element(By.ID, "marked").text == "0 photos marked"


def test_the_large_view_shows_the_photo_itself_with_names(browser, results):
    open_first(browser, results / "report.html")
    wait(browser, lambda: width_shown(browser) == 600)
    assert browser.find_element(By.CSS_SELECTOR, "#stage .box").text == "fox 0.90"
    assert not browser.find_element(By.ID, "small").is_displayed()


def test_a_page_that_was_mailed_shows_thumbnails_and_takes_the_folder(
        browser, results, tmp_path):
    page = tmp_path / "mailed" / "report.html"
    page.parent.mkdir()
    shutil.copy(results / "report.html", page)
    open_first(browser, page)
    wait(browser, lambda: "Shown small: the photo is not where it was" in small(browser))
    assert width_shown(browser) == 240
    browser.find_element(By.ID, "folder").send_keys(str(results / "card"))
    wait(browser, lambda: width_shown(browser) == 600)
    assert not browser.find_element(By.ID, "small").is_displayed()


def test_another_photo_in_its_place_is_not_shown(browser, results):
    Image.new("RGB", (60, 40)).save(results / "card/a/fox.jpg")
    open_first(browser, results / "report.html")
    wait(browser, lambda: "has 60 x 40 pixels" in small(browser))
    assert width_shown(browser) == 240


def test_no_way_is_told_from_disk_to_disk(tmp_path):
    records = write_records(tmp_path / "p.jsonl", [predicted("1.jpg", FOX)], FULL_INFO)
    for root, way in (("/no/such/card", "null"), (tmp_path / "b c" / "card", '"../b%20c/card"')):
        bursts = read_bursts(records, [""])
        write_report(records, root, tmp_path / "out.html", "Card", bursts)
        (tmp_path / "a").mkdir(exist_ok=True)
        write_report(records, root, tmp_path / "a/out.html", "Card", bursts)
        assert f'"way": {way}' in (tmp_path / "a/out.html").read_text()
        assert "/no/such" not in (tmp_path / "a/out.html").read_text()
