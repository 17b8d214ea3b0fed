"""The examples for Slurm clusters, with stand-ins for Slurm's own commands."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import QUICK, wait_until

from camera_trapinator.utils import ROOT

STANDINS = {
    "srun": 'exec "$@"',
    "scontrol": 'echo "$*" >> "$CALLS"; echo localhost',
    "python": f'exec "{sys.executable}" "$@"',
    "torchrun": f'exec "{sys.executable}" -m torch.distributed.run "$@"',
}


@pytest.fixture
def cluster(tmp_path):
    """The environment of a job on a node with one "GPU"."""
    (tmp_path / "bin").mkdir()
    for name, text in STANDINS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return dict(os.environ, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}", OMP_NUM_THREADS="1",
                CALLS=str(tmp_path / "calls"), CUDA_VISIBLE_DEVICES="", PYTHONUNBUFFERED="1",
                CAMERA_TRAPINATOR_RUNS=str(tmp_path / "runs"), SLURM_SUBMIT_DIR=str(ROOT),
                SLURM_JOB_ID="7", SLURM_JOB_NODELIST="node1", SLURM_JOB_NUM_NODES="1",
                SLURM_GPUS_ON_NODE="1")


@pytest.mark.long
def test_a_training_job_that_must_go_queues_again_and_goes_on(data_root, cluster, tmp_path):
    def job(output, restarts):
        return subprocess.Popen(
            ["bash", "scripts/slurm_train.sh", "--config", "configs/unet.yaml", "--run", "run",
             f"data_root={data_root}", *QUICK, "epochs=30"], cwd=ROOT, stdout=output,
            stderr=subprocess.STDOUT, env=cluster | {"SLURM_RESTART_COUNT": str(restarts)})

    text = tmp_path / "run.txt"
    with open(text, "w") as output:
        process = job(output, 0)
        wait_until(process, lambda: "epoch 2/" in text.read_text())
        process.send_signal(signal.SIGUSR1)
        assert process.wait(90) != 0
        assert (tmp_path / "calls").read_text().splitlines()[-1] == "requeue 7"
        assert "epoch 30/30" not in text.read_text()
        assert job(output, 1).wait(150) == 0, text.read_text()
    assert (tmp_path / "calls").read_text().count("requeue") == 1
    # Each epoch was trained once; Slurm appends to the output, as here the file does.
    epochs = [line.split()[1] for line in text.read_text().splitlines() if "train loss" in line]
    assert epochs == [f"{epoch}/30" for epoch in range(1, 31)]


def test_a_training_job_that_fails_does_not_queue_again(cluster, tmp_path):
    result = subprocess.run(["bash", "scripts/slurm_train.sh", "--config", "nowhere.yaml"],
                            cwd=ROOT, env=cluster, capture_output=True, text=True, timeout=90)
    assert result.returncode != 0 and "no such config file" in result.stderr
    assert "requeue" not in (tmp_path / "calls").read_text()


@pytest.mark.long
def test_an_array_of_jobs_predicts_and_a_last_one_joins(trained, data_root, cluster, tmp_path):
    def job(**variables):
        result = subprocess.run(
            ["bash", "scripts/slurm_predict.sh", "--run", "shapes", "--images",
             data_root / "photos", "--out", tmp_path / "out", "outputs=csv"], cwd=ROOT, text=True,
            env=cluster | {"CAMERA_TRAPINATOR_RUNS": str(trained)} | variables,
            capture_output=True, timeout=90)
        assert result.returncode == 0, result.stderr
        return result.stdout

    job(SLURM_ARRAY_TASK_ID="6", SLURM_ARRAY_TASK_MIN="5", SLURM_ARRAY_TASK_COUNT="2")
    assert len((tmp_path / "out/predictions-2-of-2.jsonl").read_text().splitlines()) == 16
    assert "15 of 30 photos are done" in job()
    assert len((tmp_path / "out/predictions.csv").read_text().splitlines()) == 31


def test_a_prediction_job_that_must_go_queues_again(cluster, tmp_path):
    started = tmp_path / "started"
    (tmp_path / "bin/python").write_text(f"#!/bin/bash\ntouch {started}; exec sleep 60\n")
    process = subprocess.Popen(["bash", "scripts/slurm_predict.sh"], cwd=ROOT,
                               env=cluster | {"SLURM_SUBMIT_DIR": str(tmp_path)})
    wait_until(process, started.exists)
    time.sleep(0.3)  # for the trap
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert (tmp_path / "calls").read_text() == "requeue 7\n"
