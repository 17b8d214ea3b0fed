#!/usr/bin/env bash
# The quick tests, or all of them, in the same environment as the demo plus the test extra:
#
#   bash scripts/run_tests.sh            # some minutes on two cores; what a commit has to pass
#   bash scripts/run_tests.sh --all      # and the long ones: large photos, many kills, many files
#   bash scripts/run_tests.sh tests/test_model.py -k pad    # with arguments for pytest
set -euo pipefail
source "$(dirname "$0")/environment.sh"
marks=""
if [ "${1:-}" = --all ]; then
    shift
else
    marks="not long"
    export EXAMPLES="${EXAMPLES:-25}" KILLS="${KILLS:-2}"  # so many random files, so many kills
fi
install test -e '.[test]'
say "ruff"
ruff check .
say "pytest"
# A test on each core, with one thread each: more threads than cores wait for each other. Who has
# no test left takes some of another's. What Python compiles is kept for all the scripts to come.
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
python -m pytest -n auto --dist worksteal -m "$marks" "$@"
