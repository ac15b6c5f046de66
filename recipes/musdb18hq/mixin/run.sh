#!/usr/bin/env bash
# Train and evaluate MiXiN on MUSDB18-HQ, or on procedural stems where that is not at hand.
#
#   ./run.sh --musdb /data/musdb18hq --tag first        the published settings
#   ./run.sh --quick true --tag try                     all stages in minutes, no download
#
# Options, as pairs (booleans are true or false):
#   --stage N           first stage to run: 0 data, 1 training, 2 evaluation
#   --stop_stage N      last one
#   --tag NAME          the experiment is exp/train_mixin_<tag>; the same again continues it
#   --conf NAME         published, quick (local/<conf>.yml), or a YAML file
#   --quick BOOL        the settings "quick" on a handful of short procedural tracks
#   --musdb PATH        existing tree: PATH/{train,test}/<track>/{mixture,bass,…}.wav
#   --download BOOL     download MUSDB18-HQ from Zenodo, to --musdb or data/musdb18hq (needs 57 GB,
#                       32 GB in the end); the same again goes on where it stopped
#   --delete_zip BOOL   remove the downloaded archive once it is unpacked
#   --subset BOOL       accept a part of MUSDB18-HQ
#   --expdir PATH       the experiment, where it shall not lie beside the recipe
#   --data_dir PATH     procedural stems, made where there is no --musdb
#   --n_tracks N        how many tracks of them
#   --seconds S         their length
#   --seed K            their seed
#   --train_options "…" options of train.py: "--epochs 20 --lr 0.0005"
#   --eval_options "…"  options of eval.py: "--single_model true"
#   --python PATH       interpreter
#   --id IDS            devices that CUDA may see: 0,1
set -e
set -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SHARED=$HERE/../xumx_slicq # what all recipes of this data set have in common

stage=0
stop_stage=2
tag=default
conf=published
quick=false
musdb=
download=false
delete_zip=false
subset=false
expdir=
data_dir=
n_tracks=
seconds=
seed=42
train_options=
eval_options=
python=python
id=${CUDA_VISIBLE_DEVICES-}

. "$SHARED/utils/parse_options.sh"

if [[ $quick == true ]]; then
  conf=quick
  n_tracks=${n_tracks:-6}
  seconds=${seconds:-8}
fi
n_tracks=${n_tracks:-64}
seconds=${seconds:-40}

# Paths are those of the caller. What the recipe writes lies beside it, unless told otherwise.
absolute() { if [[ -z $1 || $1 == /* ]]; then echo "$1"; else echo "$PWD/$1"; fi; }
if [[ -z $musdb && $download == true ]]; then musdb=$HERE/data/musdb18hq; fi
musdb=$(absolute "$musdb")
expdir=$(absolute "$expdir")
data_dir=${musdb:-$(absolute "$data_dir")}
if [[ $conf == *.y*ml ]]; then conf=$(absolute "$conf"); fi
if [[ $python == */* ]]; then python=$(absolute "$python"); fi
cd "$HERE"

data_dir=${data_dir:-data/procedural_${n_tracks}x${seconds}s_seed${seed}}
expdir=${expdir:-exp/train_mixin_${tag}}
logs=$expdir/logs
mkdir -p "$logs"

if [[ -n $id ]]; then export CUDA_VISIBLE_DEVICES=$id; fi
# Threads that wait for work by spinning slow each other down wherever cores are shared.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}

if [[ $stage -le 0 && $stop_stage -ge 0 ]]; then
  echo "Stage 0: data in $data_dir"
  if [[ -z $musdb ]]; then
    if [[ -f $data_dir/.complete ]]; then
      echo "already made"
    else
      $python -m asteroid_slicq.cli synth "$data_dir" \
        --tracks "$n_tracks" --seconds "$seconds" --seed "$seed" 2>&1 | tee "$logs/data.log"
      touch "$data_dir/.complete"
    fi
  fi
  # Its progress bar needs the terminal, so that only what it found goes to the log.
  $python "$SHARED/local/prepare_data.py" "$data_dir" --download "$download" \
    --delete_zip "$delete_zip" --subset "$subset" | tee -a "$logs/data.log"
fi

if [[ $stage -le 1 && $stop_stage -ge 1 ]]; then
  echo "Stage 1: training in $expdir"
  # shellcheck disable=SC2086
  $python train.py --conf "$conf" --exp_dir "$expdir" --data_dir "$data_dir" $train_options \
    2>&1 | tee -a "$logs/train.log"
fi

if [[ $stage -le 2 && $stop_stage -ge 2 ]]; then
  echo "Stage 2: evaluation of $expdir/best_model.pth"
  # shellcheck disable=SC2086
  $python eval.py --exp_dir "$expdir" --data_dir "$data_dir" $eval_options \
    2>&1 | tee "$logs/eval.log"
fi
