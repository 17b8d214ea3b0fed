"""Ends a script whose package is not there, or of another checkout, with a line that says what to
do; imported where that has happened, and by nobody else."""

import sys
from pathlib import Path

why = sys.exc_info()[1]
cure = "activate the environment: source .venv/bin/activate"
if why.name != "camera_trapinator":  # it is there, but not all of it
    cure = ("another checkout is installed in this environment; install this one (pip install -e "
            f"{Path(__file__).resolve().parents[1]})")
print(f"error: {why}; {cure}", file=sys.stderr)
sys.exit(2)
