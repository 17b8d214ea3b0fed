"""The model card has the data and scores of its run."""

import json
import shutil

from conftest import run_script

from camera_trapinator.outputs.model_card import write_model_card
from camera_trapinator.training.checkpoint import load_checkpoint


def test_the_model_card_has_data_and_scores_of_the_run(trained, tmp_path):
    shutil.copytree(trained / "shapes", tmp_path / "shapes", ignore=shutil.ignore_patterns("test"))
    write_model_card(tmp_path / "shapes", load_checkpoint(tmp_path / "shapes/last.pt"),
                     "mean_iou")
    before = (tmp_path / "shapes/model_card.md").read_text(encoding="utf-8")
    assert "| train | 18 | 3 | 9 |" in before and "Not tested yet" in before
    assert run_script("test.py", "--run", "shapes", "outputs=csv", runs=trained).returncode == 0
    after = (trained / "shapes/model_card.md").read_text(encoding="utf-8")
    report = json.loads((trained / "shapes/test/report.json").read_text())
    unseen = report["locations"]["unseen"]
    assert (f"| unseen locations | 6 | {unseen['mean_iou']:.3f} | "
            f"{unseen['foreground_iou']:.3f} |") in after
    assert "| seen locations | 0 | n/a | n/a |" in after and "Not tested yet" not in after
    fox = report["presence"]["fox"]
    assert f"{fox['true_positive']} of {fox['photos']} | {fox['false_positive']} |" in after
    assert "Worst test location: site" in after
    assert "Licence" in after and "Ronneberger" in after
