#!/bin/sh
# One segment of training on a machine with a CUDA device; call it again to continue. Run from the repository's root.
#
#   NET      which network (training/net.py, SHAPES)          default slim
#   MINUTES  of this segment                                    default 9
#   PLAN     of all segments together                           default 27
#   MORE     further options of training.train, such as "--stages-rate 0.1"
#   BACK     output folder for the checkpoint, in files of at most 15 MB, with log and plot
#
# Needs torch, numpy and opencv; training/data/{textures,real,val}.npz (see training/METHOD.md); and,
# from the second segment on, the last contents of BACK, copied to training/runs/$NET.
set -eu
NET=${NET:-slim} MINUTES=${MINUTES:-9} PLAN=${PLAN:-27} MORE=${MORE:-} BACK=${BACK:-out}
run=training/runs/$NET
mkdir -p "$run" "$BACK"
if ls "$run"/checkpoint.part-* >/dev/null 2>&1; then
  cat "$run"/checkpoint.part-* >"$run/checkpoint.pt"
fi
PYTHONUNBUFFERED=1 python3 -m training.train --net "$NET" --out "$run" --minutes "$MINUTES" --plan "$PLAN" \
  --textures training/data/textures.npz --real training/data/real.npz --real-share 0.3 \
  --val-real training/data/val.npz --batch 24 --crop 192 --samples 12 --rate 8e-4 --every 2 $MORE
split -b 15000000 "$run/checkpoint.pt" "$BACK/checkpoint.part-"
cp "$run"/log.csv "$run"/plot.png "$BACK/"
if [ -f "$run/checkpoint-stages.pt" ]; then
  cp "$run/checkpoint-stages.pt" "$BACK/"
fi
