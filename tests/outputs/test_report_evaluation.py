"""report.html of an evaluation: its scores, predicted told apart from true, for all eyes."""

import json
import re

import pytest
from conftest import run_script
from report_pages import check_quiet, emulated, load, open_browser
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select


@pytest.fixture(scope="module")
def browser():
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def evaluated(trained):
    result = run_script("test.py", "--run", "shapes", "outputs=report", runs=trained)
    assert result.returncode == 0, result.stderr
    return trained / "shapes/test"


def rows_in(browser, section):
    """The texts of the cells of all tables of a section, the headers among them."""
    return [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
            for row in browser.find_elements(By.CSS_SELECTOR, f"#{section} tr")]


def test_the_page_of_an_evaluation_shows_the_scores_of_its_report(browser, evaluated):
    load(browser, evaluated / "report.html")
    report = json.loads((evaluated / "report.json").read_text())
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


def test_predicted_and_true_numbers_are_told_apart(browser, evaluated):
    load(browser, evaluated / "report.html")
    report = json.loads((evaluated / "report.json").read_text())
    header, *rows = rows_in(browser, "counts")
    assert header[1:3] == ["photos (predicted)", "photos (true)"]
    presence = {name: row["true_positive"] + row["false_positive"]
                for name, row in report["presence"].items()}
    for name, predicted, true, *_ in rows:
        assert name == "unknown" or int(predicted) == presence[name]
        assert name == "unknown" or int(true) == report["presence"][name]["photos"]
    cards = dict(reversed(card.text.split("\n"))
                 for card in browser.find_elements(By.CSS_SELECTOR, ".card"))
    assert int(cards["with animals (true)"]) == report["find_animals"]["with_animals"]
    assert "with animals (predicted)" in cards and "with animals" not in cards


def test_what_the_thresholds_of_validation_achieve_is_told_with_all_digits(
        browser, evaluated, tmp_path):
    text = (evaluated / "report.html").read_text()
    start, end = re.search(r'id="data">(.*?)</script>', text, re.DOTALL).span(1)
    data = json.loads(text[start:end])
    data["thresholds"] = {"0.95": 0.99992, "0.99": 0.9473}
    data["report"]["find_animals"]["validation"] = [
        {"recall": "0.95", "threshold": 0.99992, "found": 55, "with_animals": 66,
         "false_alarms": 0, "empty": 33},
        {"recall": "0.99", "threshold": 0.9473, "found": 66, "with_animals": 66,
         "false_alarms": 1, "empty": 33}]
    page = tmp_path / "report.html"
    page.write_text(text[:start] + json.dumps(data) + text[end:])
    load(browser, page)
    rows = rows_in(browser, "empty")
    assert rows[1:3] == [["95 %", "0.99992", "55 of 66 (83.3 %)", "0 of 33 (0.0 %)"],
                         ["99 %", "0.9473", "66 of 66 (100.0 %)", "1 of 33 (3.0 %)"]]


def contrast(one, other):
    """Of two colours (red, green, blue), 0..255: WCAG 2.1, relative luminance."""
    def luminance(colour):
        shares = [value / 255 for value in colour]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
                  for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def numbers(colour):
    return [float(value) for value in re.findall(r"[\d.]+", colour)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_cells_of_the_confusion_can_be_read(browser, evaluated, scheme):
    with emulated(browser, scheme):
        load(browser, evaluated / "report.html")
        paper = numbers(browser.find_element(By.TAG_NAME, "body").value_of_css_property(
            "background-color"))[:3]
        cells = browser.find_elements(By.CSS_SELECTOR, "#confusion td.cell")
        found = [(numbers(cell.value_of_css_property("color"))[:3],
                  numbers(cell.value_of_css_property("background-color"))) for cell in cells]
    assert len(found) >= 4 and max(background[3] for _, background in found) > 0.4
    for ink, (*colour, opacity) in found:
        seen = [opacity * value + (1 - opacity) * under
                for value, under in zip(colour, paper, strict=True)]
        assert contrast(ink, seen) >= 4.5


def test_the_keyboard_comes_to_every_table_that_scrolls(browser, evaluated):
    load(browser, evaluated / "report.html", 390)
    found = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')].map((e) => [e.scrollWidth > "
        "e.clientWidth, e.tabIndex, e.getAttribute('role'), e.getAttribute('aria-label')])")
    scrolling = [entry for entry in found if entry[0]]
    assert len(scrolling) > 2
    assert all(entry[1:3] == [0, "region"] and entry[3] for entry in scrolling)
    assert len({name for *_, name in scrolling}) == len(scrolling)
    assert all(entry[1] == -1 for entry in found if not entry[0])
