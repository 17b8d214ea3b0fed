"""What people tell of their cameras and project is checked whole, before anything is predicted."""

import pytest
import yaml
from camtrap_packages import FACTS, HEADER, ROWS, changed_row, read, with_column, write_inputs

from camera_trapinator import InputError
from camera_trapinator.outputs.project import read_deployments, read_project


@pytest.mark.parametrize(("change", "part"), [
    ({"rows": changed_row(timezone="")}, "deployments.csv, line 2: timezone is empty"),
    ({"rows": changed_row(deploymentID="NA")}, "deploymentID is 'NA', which readers take for no"),
    ({"rows": changed_row(timezone="CEST+1")}, "line 2: timezone 'CEST.1' is not known"),
    ({"rows": changed_row(timezone="+01:99")}, "line 2: timezone '.01:99' is not known"),
    ({"rows": changed_row(latitude="51,2")}, "'51,2' must be a number from -90 to 90, wit"),
    ({"rows": changed_row(latitude="95")}, "line 2: latitude '95'"),
    ({"rows": changed_row(latitude="nan.0")}, "line 2: latitude 'nan.0'"),
    ({"rows": changed_row(start="01.04.2024")}, "line 2: start '01.04.2024' is no local time"),
    ({"rows": changed_row(end="20240501")}, "line 2: end '20240501' is no local time"),
    ({"rows": changed_row(start="2024-02-30")}, "line 2: start '2024-02-30' is no local time"),
    ({"rows": changed_row(end="2023-01-01")}, "line 2: end 2023-01-01 is before start"),
    ({"rows": changed_row(deploymentID="d2")}, "line 3: a second deployment 'd2' .*line 2"),
    ({"rows": changed_row(end="2024-05-03")}, "'d1' and 'd2' were both running at 'north' on 2024"),
    ({"rows": ROWS[:2]}, "deployments.csv: no deployment at the location 'south'"),
    ({"rows": [*ROWS[:2], [*ROWS[2][:1], "South", *ROWS[2][2:]]]}, "write it so in .* 'South'"),
    ({"rows": []}, "deployments.csv: no deployment in it"),
    ({"header": [*HEADER[:6], "zone"]}, "no column 'timezone'"),
    (with_column("camera_height", "1"), "column 'camera_height' is called 'cameraHeight'"),
    (with_column("cameraHeight", "1,5"), "cameraHeight '1,5' must be .* with a point and no comma"),
    (with_column("featureType", "road paved"), "must be one of roadPaved.*did you mean roadPaved"),
    ({"title": None}, "project.yaml: no title"),
    ({"samplingDesign": "random"}, "samplingDesign 'random' must be one of simpleRandom"),
    ({"captureMethod": "timeLapse"}, "captureMethod 'timeLapse' must be a list"),
    ({"captureMethod": ["timeLapse"] * 2}, "captureMethod .* names one of them twice"),
    ({"individualAnimals": "no"}, "individualAnimals 'no' must be true or false"),
    ({"contributors": []}, "contributors .* must be a list of people"),
    ({"contributors": [{"title": "A", "role": "Contact"}]}, "role 'Contact' .* did you mean con"),
    ({"contributors": [{"title": "A"}, {"role": "contact"}]}, "contributors, 2: no title"),
    ({"contributors": [{"title": "A", "mail": "a@b.org"}]}, "'mail' .* did you mean email"),
    ({"licences": [{"scope": "data"}]}, "'licences' is no key .* did you mean licenses"),
    ({"licenses": [{"scope": "data", "name": "CC0-1.0"}]}, "licenses .* one for each scope"),
    ({"licenses": [{"scope": "data"}, {"scope": "media", "path": "https://a.org"}]},
     "licenses, 1: has neither name nor path"),
    ({"project": {"id": 5}}, "project id '5' must be a text in quotation marks"),
    ({"species": {"fox": "Vulpes vulpes"}}, "no scientific name for 'snow hare'"),
    ({"species": {**FACTS["species"], "fox": {"taxonRank": "species"}}}, "fox: no scientificName"),
    ({"species": {"Fox": "Vulpes vulpes", "snow hare": "L"}}, "'fox'; write it so in .* 'Fox'"),
    ({"species": {"fox": {"scientificName": "L", "family": "A"},
                  "snow hare": {"scientificName": "L", "family": "B"}}}, "family is 'A' and 'B'"),
    ({"species": "fox"}, "species 'fox' must be lines such as"),
])
def test_what_is_missing_or_wrong_is_refused_with_its_cure(tmp_path, change, part):
    with pytest.raises(InputError, match=part) as refused:
        read(tmp_path, **change)
    assert "\n" not in str(refused.value)
    assert "; also " not in str(refused.value)  # one fault is told once


def test_all_faults_of_both_files_are_told_at_once(tmp_path):
    rows = [["d1", "north", "95", "5.6", "1.4.2024", "2024-05-01", "Mars/Base"], ["", *ROWS[1][1:]],
            ROWS[2]]
    with pytest.raises(InputError) as refused:
        read(tmp_path, rows=rows, title=None, contributors=[{"title": "A", "email": "a"}],
             species={})
    told = str(refused.value).split("; also ")
    table, facts = tmp_path / "deployments.csv", tmp_path / "project.yaml"
    assert [line.partition("; ")[0].partition(" must")[0].removesuffix(" is not known")
            for line in told] == [
        f"{table}, line 2: latitude '95'", f"{table}, line 2: timezone 'Mars/Base'",
        f"{table}, line 2: start '1.4.2024' is no local time such as 2024-07-04 05:06:07",
        f"{table}, line 3: deploymentID is empty",
        f"{facts}: no title", f"{facts}: contributors, 1: email 'a'",
        f"{facts}: species has no scientific name for 'fox'",
        f"{facts}: species has no scientific name for 'snow hare'"]
    many = [[f"d{number}", "north", "95", *ROWS[0][3:]] for number in range(500)]
    with pytest.raises(InputError, match="and 480 more") as refused:
        read(tmp_path, rows=many)
    assert len(str(refused.value)) < 5000


def test_cells_become_what_the_schema_wants_and_own_columns_are_told(tmp_path):
    header = [*HEADER, "cameraHeight", "cameraTilt", "baitUse", "habitat", "notes"]
    rows = [[*ROWS[0], "1.5", "-10.0", "No", "NA", "mine"], [*ROWS[1], *["NA"] * 5],
            [*ROWS[2], "", "", "TRUE", "heath", ""]]
    project = read(tmp_path, header=header, rows=rows)
    first, second, third = (deployment.row for name in ("north", "south")
                            for deployment in project.deployments[name])
    assert (first["cameraHeight"], first["cameraTilt"], first["baitUse"]) == ("1.5", "-10", "false")
    assert third["baitUse"] == "true" and third["habitat"] == "heath"
    assert not {"habitat", "notes"} & {*first} and not {"cameraHeight", "baitUse"} & {*second}
    note, = project.notes
    assert "notes" in note and "habitat" not in note


def test_known_times_outside_of_every_deployment_are_told_before(tmp_path):
    early = ("2023-04-02 10:00:00",) * 2
    with pytest.raises(InputError, match="no photo was taken while .* 2023-04-02 10:00:00"):
        read(tmp_path, times=early)
    for times in ((early[0], "2024-05-02 10:00:00"), (early[0], "")):  # the photos may yet tell
        read(tmp_path, times=times)


def test_a_project_file_may_be_empty_in_places(tmp_path):
    """`licenses:` without anything behind it is as if it did not stand there."""
    table, facts = write_inputs(tmp_path)
    facts.write_text(yaml.safe_dump(FACTS) + "licenses:\ndescription:\n")
    assert "licenses" not in read_project(table, facts, ["fox"], ["north"]).facts
    for text, part in (("a: [", "no valid YAML"), ("- a", "no YAML of the form"),
                       ("title: 2024-13-45", "month must be")):
        facts.write_text(text)
        with pytest.raises(InputError, match=f"project.yaml: .*{part}"):
            read_project(table, facts, ["fox"], ["north"])
    with pytest.raises(InputError, match="project.yaml: cannot be read"):
        read_project(table, tmp_path / "none/project.yaml", ["fox"], ["north"])
    assert len(read_deployments(table)["north"]) == 2
