#!/usr/bin/env bash
# All tests, in the same environment as the demo plus the test extra:
#
#   bash scripts/run_tests.sh            # or: bash scripts/run_tests.sh tests/test_model.py -k pad
set -euo pipefail
source "$(dirname "$0")/environment.sh"
install test -e '.[test]'
say "ruff"
ruff check .
say "pytest"
# A test on each core, with one thread each: more threads than cores wait for each other.
OMP_NUM_THREADS=1 python -m pytest -n auto --dist loadscope "$@"
