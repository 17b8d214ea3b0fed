"""What people tell of their photos: time zone, species, deployment."""

import csv

import pytest

from camera_trapinator import InputError
from camera_trapinator.outputs.facts import (
    deployment_at,
    locations_without,
    read_known,
    scientific_name,
    timezone_of,
)

HEADER = ["deploymentID", "location", "latitude", "longitude", "start", "end", "timezone"]
ROWS = [["s", "north", "51", "5", "2024-06-01", "2024-09-01", "Europe/Brussels"],
        ["t", "north", "51", "5", "2024-09-02", "2024-12-01", "+01:00"],
        ["u", "south", "51", "5", "2024-06-01", "2024-09-01", "Z"]]


@pytest.fixture
def known(tmp_path):
    with open(tmp_path / "deployments.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    (tmp_path / "project.yaml").write_text("title: T\nspecies: {fox: Vulpes vulpes}\n")
    return read_known(tmp_path / "deployments.csv", tmp_path / "project.yaml")


def test_a_time_zone_is_that_of_the_deployment(known):
    assert timezone_of("north", "2024-07-01 10:00:00", known) == "Europe/Brussels"
    assert timezone_of("north", "2024-09-02 00:00:00", known) == "UTC+01:00"
    assert timezone_of("north", "", known) is None  # one of two
    assert timezone_of("south", "", known) == "UTC"  # the only one there
    assert timezone_of("south", "2020-01-01 00:00:00", known) == "UTC"
    assert timezone_of("west", "2024-07-01 10:00:00", known) is None
    assert timezone_of("north", "2024-07-01 10:00:00", None) is None


def test_a_deployment_is_known_by_place_and_time(known):
    assert deployment_at("north", "2024-09-01 23:59:59", known).row["deploymentID"] == "s"
    assert deployment_at("north", "2024-12-02 00:00:00", known) is None
    assert deployment_at("north", "", known) is None
    assert locations_without(["west", "north", "east"], known) == ["east", "west"]


def test_a_scientific_name_is_told_or_none(known):
    assert scientific_name("fox", known) == "Vulpes vulpes"
    assert scientific_name("hare", known) is None
    assert scientific_name(None, known) is None
    assert scientific_name("fox", None) is None


def test_either_file_will_do(tmp_path):
    (tmp_path / "project.yaml").write_text(
        "species: {fox: Vulpes vulpes, deer: {scientificName: Cervus elaphus, family: Cervidae}}")
    only_names = read_known("", tmp_path / "project.yaml")
    assert scientific_name("fox", only_names) == "Vulpes vulpes" and not only_names.deployments
    assert scientific_name("deer", only_names) == "Cervus elaphus"
    assert timezone_of("north", "2024-07-01 10:00:00", only_names) is None


@pytest.mark.parametrize(("text", "told"), [
    ("species: [fox]", "species"), ("species: {fox: 3}", "fox"),
    ("species: {fox: {family: Canidae}}", "fox"), ("- fox", "key: value"),
    ("a: {", "no valid YAML")])
def test_a_project_file_that_is_none_is_refused(tmp_path, text, told):
    (tmp_path / "project.yaml").write_text(text)
    with pytest.raises(InputError, match=told):
        read_known("", tmp_path / "project.yaml")
