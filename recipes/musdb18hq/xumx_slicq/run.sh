#!/usr/bin/env bash
# Train and evaluate xumx-sliCQ on MUSDB18-HQ, or on procedural stems where that is not at hand.
#
#   ./run.sh --musdb /data/musdb18hq --tag first        the published V2
#   ./run.sh --quick true --tag try                     all stages in a few minutes, no download
#
# Options, as pairs (booleans are true or false):
#   --stage N           first stage to run: 0 data, 1 training, 2 evaluation, 3 publishing
#   --stop_stage N      last one
#   --tag NAME          the experiment is exp/train_<model>_<tag>; the same again continues it
#   --model NAME        v1, v2, v2_realtime, small, quick (local/<model>.yml), or a YAML file
#   --quick BOOL        the model "quick" on a handful of short procedural tracks
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
#   --fast BOOL         score without museval (BSSEval v4), which takes minutes a track; SDR is the
#                       same; default: true with --quick, else false
#   --train_options "…" options of train.py: "--max_time_s 3600 --lr 0.0005"
#   --eval_options "…"  options of eval.py: "--device cuda --n_workers 8"
#   --repo USER/NAME    repository on the Hugging Face Hub, of stage 3
#   --publish BOOL      publish there; else stage 3 writes the files to <expdir>/publish (dry run)
#   --trained_on DATA   for the model card: musdb18-hq with --musdb or --download, else procedural
#   --python PATH       interpreter
#   --id IDS            devices that CUDA may see: 0,1
set -e
set -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

stage=0
stop_stage=3
tag=default
model=v2
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
fast=
train_options=
eval_options=
repo=
publish=false
trained_on=
python=python
id=${CUDA_VISIBLE_DEVICES-}

. "$HERE/utils/parse_options.sh"

if [[ $quick == true ]]; then
  model=quick
  n_tracks=${n_tracks:-6}
  seconds=${seconds:-8}
  fast=${fast:-true}
fi
n_tracks=${n_tracks:-64}
seconds=${seconds:-40}
fast=${fast:-false}

# Paths are those of the caller. What the recipe writes lies beside it, unless told otherwise.
absolute() { if [[ -z $1 || $1 == /* ]]; then echo "$1"; else echo "$PWD/$1"; fi; }
if [[ -z $musdb && $download == true ]]; then musdb=$HERE/data/musdb18hq; fi
musdb=$(absolute "$musdb")
expdir=$(absolute "$expdir")
data_dir=${musdb:-$(absolute "$data_dir")}
if [[ $model == *.y*ml ]]; then model=$(absolute "$model"); fi
if [[ $python == */* ]]; then python=$(absolute "$python"); fi
cd "$HERE"

data_dir=${data_dir:-data/procedural_${n_tracks}x${seconds}s_seed${seed}}
expdir=${expdir:-exp/train_$(basename "${model%.y*ml}")_${tag}}
logs=$expdir/logs
if [[ $model != v2 && ! -f $model && ! -f local/$model.yml ]]; then
  echo "--model must be v2, the name of a file in local/, or a YAML file, got $model" >&2
  exit 1
fi
if [[ -n $musdb && $download != true && ! -d $musdb/train ]]; then
  echo "no folder $musdb/train: --musdb must name the tree of MUSDB18-HQ" >&2
  exit 1
fi
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
  $python local/prepare_data.py "$data_dir" --download "$download" --delete_zip "$delete_zip" \
    --subset "$subset" | tee -a "$logs/data.log"
fi

if [[ $stage -le 1 && $stop_stage -ge 1 ]]; then
  echo "Stage 1: training in $expdir"
  errors=/dev/stdout
  if [[ -t 2 ]]; then errors=/dev/tty; fi # the progress bar; a log gets lines of text
  # shellcheck disable=SC2086
  $python train.py --model "$model" --exp_dir "$expdir" --data_dir "$data_dir" $train_options \
    2>"$errors" | tee -a "$logs/train.log"
fi

if [[ $stage -le 2 && $stop_stage -ge 2 ]]; then
  echo "Stage 2: evaluation of $expdir/best_model.pth"
  # shellcheck disable=SC2086
  $python eval.py --exp_dir "$expdir" --data_dir "$data_dir" --fast "$fast" $eval_options \
    2>&1 | tee "$logs/eval.log"
fi

if [[ $stage -le 3 && $stop_stage -ge 3 ]]; then
  if [[ -z $trained_on ]]; then
    if [[ -n $musdb ]]; then trained_on=musdb18-hq; else trained_on=procedural; fi
  fi
  name=$(basename "${model%.y*ml}")
  options=(--repo "${repo:-user/xumx-slicq-${name//_/-}}" --trained-on "$trained_on"
    --metrics "$expdir/metrics.json")
  if [[ $publish == true ]]; then
    [[ -n $repo ]] || { echo "--publish true needs --repo USER/NAME" >&2; exit 1; }
    echo "Stage 3: publishing as $repo"
  else
    echo "Stage 3: the files to publish, in $expdir/publish"
    options+=(--dry-run -o "$expdir/publish" --overwrite)
  fi
  $python -m asteroid_slicq.cli publish "$expdir/best_model.pth" "${options[@]}" \
    2>&1 | tee "$logs/publish.log"
fi
