"""A stop is never lost, whenever the signal comes."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
from conftest import EXAMPLES

from camera_trapinator.utils import ROOT

# A training of nothing: epochs of a few steps, a checkpoint and a validation after each.
RUNS = """
import os, signal, sys
import torch
from camera_trapinator.training.processes import join_processes
from camera_trapinator.training.stop import Stop

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # between two runs
processes = join_processes(torch.device("cpu"))
for run in range(int(sys.argv[1])):
    processes.wait()
    outcome = "lost"
    with Stop(0, processes) as stop:
        os.write(1, b"begun\\n")  # print is the first one's alone
        try:
            for epoch in range(400):
                for step in range(3):
                    if stop.due(step):
                        stop.saved()
                if stop.agreed():
                    stop.leave()
                stop.saved()
        except SystemExit as end:
            outcome = f"stopped {end.code}"
        processes.wait()
    os.write(1, f"{outcome}\\n".encode())
"""


def test_no_stop_is_lost_between_two_processes():
    """At random instants one of two processes is told to stop, or both are: both leave, each time,
    also if they were just asking each other."""
    stops = max(200, 2 * EXAMPLES)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    processes = [subprocess.Popen(
        [sys.executable, "-c", RUNS, str(stops)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=dict(
            os.environ, TORCHELASTIC_RUN_ID="stops", MASTER_ADDR="127.0.0.1", WORLD_SIZE="2",
            MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), OMP_NUM_THREADS="1",
            CUDA_VISIBLE_DEVICES="")) for rank in range(2)]
    random = np.random.default_rng(0)
    try:
        for number in range(stops):
            assert [process.stdout.readline() for process in processes] == ["begun\n"] * 2
            time.sleep(random.uniform(0, 0.02))
            for process in processes if number % 3 == 0 else [processes[number % 2]]:
                os.kill(process.pid, signal.SIGTERM)
            assert [process.stdout.readline() for process in processes] == ["stopped 75\n"] * 2
        assert [process.wait(30) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
