#!/usr/bin/env bash
# Predict very many photos on a Slurm cluster, a part of them by each job of an array; an example to
# copy and to adapt to yours:
#
#   sbatch --array=1-20 scripts/slurm_predict.sh --run wide --images /archive/photos
#   sbatch --dependency=singleton scripts/slurm_predict.sh --run wide --images /archive/photos
#
# What follows the name is given to test.py. The second command waits for the first, predicts what
# that may have left, and writes masks and tables. A job whose time is nearly over, or that has to
# give way, queues again and goes on where it was.
#SBATCH --job-name=camera_trapinator_predict
#SBATCH --ntasks=1
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8        # these read the photos
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@60       # tells this script a minute before the end
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.txt
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?to be started by sbatch}"  # the repository
if [ -d .venv ]; then source .venv/bin/activate; fi

shard=()
if [ "${SLURM_ARRAY_TASK_COUNT:-}" ]; then
    shard=(--shard "$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))/$SLURM_ARRAY_TASK_COUNT")
fi
python scripts/test.py "$@" "${shard[@]}" &
prediction=$!

stopped=
trap 'stopped=yes; trap "" USR1 TERM; kill -TERM "$prediction"' USR1 TERM
status=0
wait "$prediction" || status=$?
if [ "$stopped" ]; then
    wait "$prediction" || status=$?
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
