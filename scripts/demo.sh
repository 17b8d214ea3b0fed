#!/usr/bin/env bash
# From a fresh clone to a trained U-Net, its scores, and masks for new photos, in one command:
#
#   bash scripts/demo.sh
#
# Needs Python 3.11 to 3.13, no GPU. The generated photos go beside the repository, to
# ../camera_trapinator_data/demo, or to $CAMERA_TRAPINATOR_DATA/demo. Run it again as you like.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
data="${CAMERA_TRAPINATOR_DATA:-../camera_trapinator_data}/demo"

install demo
say "generating camera-trap photos in $data"
python scripts/make_demo_data.py --out "$data"

resume=
if [ -d cnn_states/demo ]; then
    say "cnn_states/demo is there: going on with it (delete it to train anew)"
    resume=--resume
fi
say "training configs/demo.yaml (some 3 minutes on 2 CPU cores)"
python scripts/train.py --config configs/demo.yaml --run demo $resume data_root="$data"

say "testing it on photos from locations that it has never seen"
python scripts/test.py --run demo

say "predicting a folder of new photos, straight from the card"
python scripts/test.py --run demo --images "$data/new_photos" --overwrite

say "done. In each new terminal, before any other command: source .venv/bin/activate. Look at:"
cat <<END
  training curves         cnn_states/demo/curves.png
  scores, every photo     cnn_states/demo/test/report.html
  new photos              cnn_states/demo/predict/new_photos/report.html
  new photos: tables      cnn_states/demo/predict/new_photos/predictions.csv
  new photos: masks       cnn_states/demo/predict/new_photos/masks/
  new photos: pictures    cnn_states/demo/predict/new_photos/overlays/
END
