"""Runs scripts as `python SCRIPT ...` does, but for the seconds that PyTorch takes to be imported.

This process imports it once; for each line on its stdin it forks, and the fork goes on as the
script: a process of its own, with its own arguments, environment, folder, output and exit code.
"""

import json
import os
import runpy
import signal
import sys
from importlib import import_module

for name in ("torch._dynamo", "torchvision.transforms.v2", "scipy.ndimage", "matplotlib.pyplot"):
    import_module(name)

for line in sys.stdin:
    job = json.loads(line)
    if not (process := os.fork()):
        break
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
else:
    sys.exit()

for stream, path in (("stdin", os.devnull), ("stdout", job["stdout"]), ("stderr", job["stderr"])):
    file = os.open(path, os.O_RDWR)
    os.dup2(file, getattr(sys, stream).fileno())
    os.close(file)
os.chdir(job["cwd"])
os.environ.clear()
os.environ.update(job["environment"])
sys.argv = job["command"]
sys.path[0] = os.path.dirname(sys.argv[0])
signal.alarm(300)  # a script that hangs
runpy.run_path(sys.argv[0], run_name="__main__")
