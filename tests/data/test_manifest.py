"""manifest.csv and classes.csv: what is read is what was written, and every mistake is named."""

import re
import sys
import tracemalloc
from datetime import datetime

import numpy as np
import pytest

from camera_trapinator import InputError
from camera_trapinator.data.manifest import (
    COLUMNS,
    FOCUS,
    Class,
    Manifest,
    Row,
    TextColumn,
    assign_sequences,
    location_of,
    read_classes,
    read_manifest,
    write_classes,
    write_manifest,
)

ROWS = [
    Row("north/DCIM/100RECNX/IMG_1.JPG", "masks/1.png", "north", "2023-07-04 05:06:07", "north#1",
        "train", "0.25", "yes"),
    Row("north/DCIM/100RECNX/IMG_2.JPG", "background", "north"),
    Row('s\u00fcd, "am Bach"/\u5927\u718a\u732b \U0001f43c.jpg', "", "s\u00fcd", split="test_seen"),
]


def refusal(tmp_path, content: bytes | str, reader=read_manifest) -> str:
    """The message with which a file of this content is refused, less its path."""
    path = tmp_path / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        reader(path)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(str(path))


# -------------------------------------------------------------------------------- round trip


def test_manifest_round_trip(tmp_path):
    write_manifest(tmp_path / "manifest.csv", ROWS)
    manifest = read_manifest(tmp_path / "manifest.csv")
    assert list(manifest) == ROWS and len(manifest) == 3
    assert manifest[-1] == ROWS[-1] and manifest[1] == ROWS[1]
    for name in COLUMNS:
        assert list(manifest.column(name)) == [getattr(row, name) for row in ROWS]
    with pytest.raises(IndexError):
        manifest[3]
    write_manifest(tmp_path / "again.csv", manifest)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "manifest.csv").read_bytes()


def test_manifest_in_memory_is_like_one_read():
    manifest = Manifest(ROWS)
    assert list(manifest) == ROWS and manifest[-3] == ROWS[0]
    assert list(manifest.column("difficulty")) == ["0.25", "", ""]
    assert list(Manifest([Row("a.jpg")]).column("split")) == [""]


def test_only_an_image_column_is_needed(tmp_path):
    (tmp_path / "manifest.csv").write_text("image\ncam1/a.jpg\nb.jpg\n")
    manifest = read_manifest(tmp_path / "manifest.csv")
    assert list(manifest) == [Row("cam1/a.jpg", location="cam1"), Row("b.jpg", location=".")]
    assert list(manifest.column("sequence")) == ["", ""]


def test_columns_that_are_empty_are_left_out(tmp_path):
    write_manifest(tmp_path / "manifest.csv", [Row("a.jpg", split="val"), Row("b.jpg")])
    lines = (tmp_path / "manifest.csv").read_text().splitlines()
    assert lines == ["image,mask,split", "a.jpg,,val", "b.jpg,,"]


@pytest.mark.parametrize("content", [
    "\ufeffimage,mask\na/b.jpg,background\n",  # Excel begins with a byte order mark
    "mask,image\r\nbackground,a/b.jpg\r\n",  # Windows, and another order
    "image,observer,mask,\na/b.jpg,Ana;Bo,background,\n",  # columns of the user's own
    "image, mask\n a/b.jpg , background\n",  # typed by hand
    'image,mask\n\n"a/b.jpg",background',  # empty lines, quotes, no newline at the end
    "image;mask\na/b.jpg;background\n", "image\tmask\r\na/b.jpg\tbackground\r\n",
    "\ufeffsep=;\r\nimage;mask\r\na/b.jpg;background\r\n",
    '"sep=,"\nimage,mask\na/b.jpg,background',
    "sep=|\nimage|mask\na/b.jpg|background\n", "sep=\t\nimage\tmask\na/b.jpg\tbackground\n",
    "sep=;\nimage,mask\na/b.jpg,background\n",  # saved anew by a program that knows no such line
    "image,mask,,\na/b.jpg,background,,\n,,,\n", "image,mask\na/b.jpg,background,\n",
    "image,mask,\na/b.jpg,background\n",
    'image;note;mask\na/b.jpg;"a; b, c";background\n', "image,my;note,mask\na/b.jpg,,background\n",
])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_what_is_tolerated(tmp_path, content, encoding):
    """UTF-16 is what Excel calls Unicode text; its byte order mark tells."""
    if encoding != "utf-8":
        content = content.removeprefix("\ufeff")
    content = "\ufeff" * (encoding == "utf-16-be") + content
    (tmp_path / "manifest.csv").write_bytes(content.encode(encoding))
    assert list(read_manifest(tmp_path / "manifest.csv")) == [Row("a/b.jpg", "background", "a")]


def test_focus_is_said_in_many_words(tmp_path):
    words = {"yes": True, "YES": True, "1": True, "True": True, "no": False, "0": False,
             "FALSE": False, "": False}
    (tmp_path / "manifest.csv").write_text("image,focus\n" + "".join(
        f"{number}.jpg,{word}\n" for number, word in enumerate(words)))
    column = read_manifest(tmp_path / "manifest.csv").column("focus")
    assert [FOCUS[word.lower()] for word in column] == list(words.values())


def test_given_locations_win_and_empty_ones_follow_from_the_path(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,location\ncam1/a.jpg,ridge\ncam1/b.jpg,\n")
    assert list(read_manifest(tmp_path / "manifest.csv").column("location")) == ["ridge", "cam1"]


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("content", "expected"), [
    ("photo,mask\na.jpg,\n", "no column 'image' in the header (photo,mask)"),
    ("Image;mask\na.jpg;\n", "no column 'image' in the header (Image,mask); write image in"),
    ("sep=;\nimage;mask\n;b.png\n", ", line 3: the image column is empty"),
    ("sep=;\nimage;mask\na.jpg;;c\n", ", line 3: the row has more or fewer cells"),
    ("", "empty file"),
    ("image,mask\n", "the manifest lists no photo"),
    ("image\n\n\n", "the manifest lists no photo"),
    ("image,mask\na.jpg,a.png\n,b.png\n", ", line 3: the image column is empty"),
    ("image\na\\b.jpg\n", ", line 2: image a\\b.jpg has backslashes"),
    ("image,mask\na.jpg,masks\\a.png\n", ", line 2: mask masks\\a.png has backslashes"),
    ("image\n/data/a.jpg\n", ", line 2: image /data/a.jpg must be a path inside data_root"),
    ("image\n~/a.jpg\n", ", line 2: image ~/a.jpg must be"),
    ("image\n../a.jpg\n", ", line 2: image ../a.jpg must be"),
    ("image\na/../../b.jpg\n", ", line 2: image a/../../b.jpg must be"),
    ("image\nC:/photos/a.jpg\n", ", line 2: image C:/photos/a.jpg must be"),
    ("image\nC:\\photos\\a.jpg\n", ", line 2: image C:\\photos\\a.jpg has backslashes"),
    ("image,mask\na.jpg,/m/a.png\n", ", line 2: mask /m/a.png must be"),
    ("image,mask\na.jpg,../a.png\n", ", line 2: mask ../a.png must be"),
    ("image\na.jpg\nb.jpg\na.jpg\n", ", line 4: image a.jpg stands in the manifest twice"),
    ("image\na.jpg\n a.jpg\n", ", line 3: image a.jpg stands in the manifest twice"),
    ("image,split\na.jpg,train\nb.jpg,valid\n", ", line 3: split 'valid' is none of train, val"),
    ("image,split\na.jpg,Train\n", ", line 2: split 'Train' is none of"),
    ("image,difficulty\na.jpg,1.5\n", ", line 2: difficulty '1.5' is not a number from 0"),
    ("image,difficulty\na.jpg,-0.1\n", ", line 2: difficulty '-0.1' is not"),
    ("image,difficulty\na.jpg,nan\n", ", line 2: difficulty 'nan' is not"),
    ("image,difficulty\na.jpg,hard\n", ", line 2: difficulty 'hard' is not"),
    ('image,difficulty\na.jpg,"0,5"\n', ", line 2: difficulty '0,5' is not"),
    ("image,focus\na.jpg,yes\nb.jpg,maybe\n", ", line 3: focus 'maybe' is none of yes, 1, true"),
    ("image,focus\na.jpg,2\n", ", line 2: focus '2' is none of"),
    ("image,mask\na.jpg,,c\n", ", line 2: the row has more or fewer cells than the header (2)"),
    ("image,mask\na.jpg,\nb.jpg\n", ", line 3: the row has more or fewer cells"),
    ('image,mask\na.jpg,"a.png\nb.jpg,b.png\n', ", line 2: unexpected end of data; a quotation"),
    ('image,mask\na.jpg,"a.png\nb.jpg,"b.png"\n', ", line 2: ',' expected after"),
    ('image,mask\na.jpg,"a.png\nb.jpg"\nc.jpg,,c\n', ", line 4: the row has more or fewer cells"),
    ('image,mask\n"a.jpg,a.png\nb.jpg"\n', ", line 2: the row has more or fewer cells"),
    ("image,mask\na.jpg,\nb\0.jpg,\n", ", line 3: the row holds NUL bytes"),
    ("image\nb\u00e4r.jpg\n".encode("latin-1"), "not UTF-8 text"),
    ("image\nb\u00e4r.jpg\n".encode("utf-16")[:-1], "not UTF-8 text"),  # cut short
    ("image\na.jpg\n".encode("utf-16-le"), "not UTF-8 text; save it as CSV UTF-8"),
    ("image\na.jpg\n".encode("utf-16-be"), "not UTF-8 text; save it as CSV UTF-8"),
    ("a.jpg,a.png\n", "'image' in the header (a.jpg,a.png); the first line must name the columns"),
])
def test_mistakes_are_refused_with_line_and_value(tmp_path, content, expected):
    assert expected in refusal(tmp_path, content)


@pytest.mark.parametrize("text", [
    "2023:07:04 05:06:07", "04.07.2023 05:06", "2023-07-04", "2023-13-04 05:06:07",
    "01.05.2024 10:00", "5/1/2024 10:00", "2023-07-04 05:60", "2023-07-04 5:06",
    "2023-02-30 05:06:07", "2023-07-04 24:00:00", "2023-07-04T05:06:07", "yesterday",
    "2023-07-04 05:06:07.5", "2023-07-04 05:06:07+02:00", "23-07-04 05:06:07",
    "2023-7-4 5:06:07",  # would be sorted among the wrong neighbours
])
def test_datetimes_of_another_form_are_refused(tmp_path, text):
    message = refusal(tmp_path, f"image,datetime\na.jpg,2023-07-04 05:06:07\nb.jpg,{text}\n")
    assert message.startswith(f", line 3: datetime '{text}") and "is not of the form" in message
    assert "yyyy-mm-dd hh:mm:ss" in message


def test_a_time_without_seconds_is_at_the_full_minute(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,datetime\na.jpg,2024-05-01 10:00\nb.jpg,\n"
                                           "c.jpg,2024-05-01 10:00:30\n")
    assert list(read_manifest(tmp_path / "manifest.csv").column("datetime")) == [
        "2024-05-01 10:00:00", "", "2024-05-01 10:00:30"]


def test_files_that_cannot_be_opened(tmp_path):
    for reader in (read_manifest, read_classes):
        with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path))}/none.csv: no such file"):
            reader(tmp_path / "none.csv")
        with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path))}: .*directory"):
            reader(tmp_path)


# ---------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("existing", [True, False])
def test_nothing_is_half_written(tmp_path, existing):
    path = tmp_path / "manifest.csv"
    if existing:
        write_manifest(path, ROWS)
    before = path.read_bytes() if existing else None
    broken = [Row(f"{number}.jpg") for number in range(5000)] + [Row("b\udcfcr.jpg")]
    with pytest.raises(UnicodeEncodeError):  # a file name that is no UTF-8
        write_manifest(path, broken)
    assert path.exists() == existing
    if existing:
        assert path.read_bytes() == before

    def rows_that_break_off():
        yield ROWS[0]
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        write_manifest(path, rows_that_break_off())
    assert path.exists() == existing


# ------------------------------------------------------------------------------ text column


def test_text_column_is_like_a_list():
    texts = ["", "a", "\u00e9\u5927\U0001f43c", "", "", "x" * 1000, "n\nl", ""]
    column = TextColumn(texts)
    assert list(column) == texts and len(column) == len(texts)
    assert [column[place] for place in (5, 0, 7, 2)] == [texts[place] for place in (5, 0, 7, 2)]
    assert "a" in column and column.index("n\nl") == 6
    with pytest.raises(IndexError):
        column[len(texts)]
    assert list(TextColumn()) == []


def test_manifest_is_compact(tmp_path):
    """Ten million photos must fit: a fraction of the memory that lists of texts would take."""
    rows = [Row(f"site{n % 50}/IMG_{n:06}.JPG", "background", f"site{n % 50}")
            for n in range(20000)]
    write_manifest(tmp_path / "manifest.csv", rows)
    read_manifest(tmp_path / "manifest.csv")  # what is allocated once and for all does not count
    tracemalloc.start()
    manifest = read_manifest(tmp_path / "manifest.csv")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    lists = sum(sys.getsizeof(text) + 8 for row in rows for text in row if text)
    assert len(manifest) == len(rows) and held < lists / 2.5


# ------------------------------------------------------------------- locations and sequences


@pytest.mark.parametrize(("image", "location"), [
    ("a.jpg", "."), ("cam3/a.jpg", "cam3"), ("ridge/cam3/a.jpg", "ridge/cam3"),
    ("ridge/cam3/DCIM/100RECNX/a.jpg", "ridge/cam3"), ("cam3/100EK113/a.jpg", "cam3"),
    ("cam3/100_BTCF/a.jpg", "cam3"), ("cam3/DCIM/101MEDIA/a.jpg", "cam3"),
    ("cam3/dcim/100dscim/a.jpg", "cam3"), ("cam3/100CANON/a.jpg", "cam3"),
    ("cam3/DCIM/a.jpg", "cam3"), ("DCIM/100RECNX/a.jpg", "."),
    ("cam3/DCIM/100RECNX/101RECNX/a.jpg", "cam3"),
    ("DCIM/cam3/a.jpg", "DCIM/cam3"), ("cam3/100RECNX/extra/a.jpg", "cam3/100RECNX/extra"),
    ("100/a.jpg", "100"), ("site100RECNX/a.jpg", "site100RECNX"),
    ("cam3/100RECNX_old/a.jpg", "cam3/100RECNX_old"), ("cam3/1000RECNX/a.jpg", "cam3/1000RECNX"),
])
def test_location_of(image, location):
    assert location_of(image) == location


def sequences_one_by_one(locations, datetimes, gap_seconds):
    """Photos joined if they are of one location and near, and with them all that they reach."""
    times = [datetime.fromisoformat(text) if text else None for text in datetimes]
    groups = [{index} for index in range(len(times))]
    for one in range(len(times)):
        for other in range(one):
            if (locations[one] == locations[other] and times[one] and times[other]
                    and abs((times[one] - times[other]).total_seconds()) <= gap_seconds
                    and groups[one] is not groups[other]):
                groups[one] |= groups[other]
                for index in groups[other]:
                    groups[index] = groups[one]
    return groups


@pytest.mark.parametrize("seed", range(30))
def test_assign_sequences_against_brute_force(seed):
    random = np.random.default_rng(seed)
    count, gap_seconds = int(random.integers(1, 40)), int(random.choice([30, 60, 120]))
    locations = [f"site{number}" for number in random.integers(0, 3, count)]
    seconds = random.integers(0, 1200, count) // 30 * 30  # exact gaps and equal times occur
    datetimes = [f"2023-12-31 23:{50 + second // 60}:{second % 60:02}" if second < 600 else
                 f"2024-01-01 00:{second // 60 - 10:02}:{second % 60:02}" for second in seconds]
    for place in np.flatnonzero(random.random(count) < 0.1):
        datetimes[place] = ""
    names = assign_sequences(locations, datetimes, gap_seconds)
    groups = sequences_one_by_one(locations, datetimes, gap_seconds)
    for one in range(count):
        assert (names[one] == "") == (datetimes[one] == "")
        if names[one]:
            assert names[one].startswith(locations[one] + "_")
            assert {other for other in range(count) if names[other] == names[one]} == groups[one]


def test_sequences_are_numbered_by_time():
    names = assign_sequences(["a", "a", "b", "a"], ["2024-01-01 10:05:00", "2024-01-01 10:00:00",
                                                    "2024-01-01 10:00:00", "2024-01-01 10:01:00"])
    # exactly 60 seconds still are one burst
    assert names == ["a_0002", "a_0001", "b_0001", "a_0001"]


# ------------------------------------------------------------------------------- classes.csv


def test_classes_round_trip(tmp_path):
    classes = [Class("background", (0, 0, 0)), Class("fox, red", (230, 120, 5)),
               Class("\u718a", (255, 255, 255))]
    write_classes(tmp_path / "classes.csv", classes)
    assert read_classes(tmp_path / "classes.csv") == classes
    assert "1,\"fox, red\",#e67805\n" in (tmp_path / "classes.csv").read_text(encoding="utf-8")


HEAD = "index,name,colour\n0,background,#000000\n"


@pytest.mark.parametrize(("content", "expected"), [
    ("index,name\n0,background\n", "no column 'colour'"),
    ("index;name;colour\n0;background;#000000\n", "1 classes; there must be 2"),
    ("", "empty file"),
    (HEAD, "1 classes; there must be 2"),
    (HEAD + "2,fox,#ff0000\n", ", line 3: index '2' should be 1"),
    (HEAD + "0,fox,#ff0000\n", ", line 3: index '0' should be 1"),
    (HEAD + "one,fox,#ff0000\n", ", line 3: index 'one' should be 1"),
    ("index,name,colour\n1,fox,#ff0000\n", ", line 2: index '1' should be 0"),
    (HEAD + "1,,#ff0000\n", ", line 3: class name ''"),
    (HEAD + "1,fox,#ff0000\n2,fox,#00ff00\n", ", line 4: class name 'fox'"),
    (HEAD + "1,fox,ff0000\n", ", line 3: colour 'ff0000' is not of the form #ff8800; write #ff00"),
    (HEAD + '1,fox,"255, 8,0"\n', ", line 3: colour '255, 8,0' is not of the form #ff8800; write "
     "#ff0800"),
    (HEAD.replace(",", ";") + "1;fox;255,8,0\n", "; write #ff0800"),
    (HEAD + "1,fox,255,8,0\n", ", line 3: the row has more cells than the header (3); write the "
     "colour as #ff0800"),
    (HEAD + "1,fox,red,blue\n", ", line 3: the row has more cells than the header (3)"),
    (HEAD.replace("colour", "Colour"), "write colour in place of Colour"),
    ("1,fox,#ff0000\n", "; the first line must name the columns: index,name"),
    (HEAD + "1,fox,#ff00\n", ", line 3: colour '#ff00' is not"),
    (HEAD + "1,fox,#gg0000\n", ", line 3: colour '#gg0000' is not"),
    (HEAD + "1,fox,red\n", ", line 3: colour 'red' is not"),
    (HEAD + "1,fox\n", ", line 3: the row has more or fewer cells"),
    (HEAD + "".join(f"{n},class {n},#ff0000\n" for n in range(1, 256)), "256 classes"),
])
def test_mistakes_in_the_classes_are_refused(tmp_path, content, expected):
    assert expected in refusal(tmp_path, content, read_classes)


def test_colours_may_be_spelled_in_american(tmp_path):
    (tmp_path / "classes.csv").write_text(HEAD.replace("colour", "color") + "1,fox,#ff0000\n")
    assert read_classes(tmp_path / "classes.csv")[1] == Class("fox", (255, 0, 0))


def test_255_classes_are_the_most(tmp_path):
    (tmp_path / "classes.csv").write_text(
        HEAD + "".join(f"{n},class {n},#ff0000\n" for n in range(1, 255)))
    assert len(read_classes(tmp_path / "classes.csv")) == 255  # index 255 means ignore
