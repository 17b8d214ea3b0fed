#!/usr/bin/env bash
# Train on the GPUs of a Slurm cluster; an example to copy and to adapt to yours:
#
#   sbatch scripts/slurm_train.sh --config configs/unet.yaml --run wide batch_size=64
#   sbatch --nodes=2 --gres=gpu:8 scripts/slurm_train.sh --config configs/unet.yaml
#
# What follows the name is given to train.py. A job whose time is nearly over, or that has to give
# way, saves its state and queues again; the next one goes on in mid-epoch, to the same result.
#SBATCH --job-name=camera_trapinator
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1      # torchrun starts a process for each GPU
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=32       # these also read and augment the photos
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300      # tells this script 5 minutes before the end
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.txt
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?to be started by sbatch}"  # the repository
if [ -d .venv ]; then source .venv/bin/activate; fi

resume=()
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then resume=(--resume); fi
leader=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc_per_node "$SLURM_GPUS_ON_NODE" \
    --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d --rdzv_endpoint "$leader:29500" \
    -- scripts/train.py "$@" "${resume[@]}" &
training=$!

stopped=
trap 'stopped=yes; trap "" USR1 TERM; kill -TERM "$training"' USR1 TERM
status=0
wait "$training" || status=$?
if [ "$stopped" ]; then  # the signal has ended the waiting, but not yet the training
    wait "$training" || status=$?
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
