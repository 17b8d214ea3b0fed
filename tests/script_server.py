"""Runs scripts as `python SCRIPT ...` does, but for the seconds that PyTorch takes to be imported.

This process imports it once; for each line on its stdin it forks, and the fork goes on as the
script: a process of its own, with its own arguments, environment, folder, output and exit code. A
line that is a number asks for the exit code of that process.
"""

import atexit
import gc
import json
import os
import runpy
import sys
from importlib import import_module

code = None  # with which a script has ended


@atexit.register  # first, and so called last
def leave() -> None:
    """A script that is done does not tear down PyTorch, module by module: that takes a second."""
    if code is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


for name in ("torch._dynamo", "torchvision.models", "scipy.ndimage", "scipy.sparse.csgraph",
             "matplotlib.pyplot", "matplotlib.backends.backend_agg", "PIL.JpegImagePlugin",
             "PIL.PngImagePlugin", "yaml"):
    import_module(name)
gc.collect()
gc.freeze()  # else a script's collector touches, and so copies, all that it has from here

for line in sys.stdin:
    job = json.loads(line)
    if isinstance(job, int):
        ended, status = os.waitpid(job, os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if ended else None), flush=True)
    elif process := os.fork():
        print(process, flush=True)
    else:
        break
else:
    sys.exit()

os.setsid()
for stream, path in (("stdin", os.devnull), ("stdout", job["stdout"]), ("stderr", job["stderr"])):
    file = os.open(path, os.O_RDWR | os.O_APPEND)
    os.dup2(file, getattr(sys, stream).fileno())
    os.close(file)
sys.stdout.reconfigure(line_buffering=True)
os.chdir(job["cwd"])
os.environ.clear()
os.environ.update(job["environment"])
sys.argv = job["command"]
sys.path[0] = os.path.dirname(sys.argv[0])
sys.path[1:1] = filter(None, job["environment"].get("PYTHONPATH", "").split(os.pathsep))
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    raise
except Exception:
    code = 1
    raise
code = 0
