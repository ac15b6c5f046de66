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
. "$HERE/utils/stages.sh"

if [[ $quick == true ]]; then
  model=quick
  n_tracks=${n_tracks:-6}
  seconds=${seconds:-8}
  fast=${fast:-true}
fi
fast=${fast:-false}
if [[ $model == *.y*ml ]]; then model=$(absolute "$model"); fi
resolve_paths
name=$(basename "${model%.y*ml}")
expdir=${expdir:-exp/train_${name}_${tag}}

check_settings model v2 "$model"
check_musdb
prepare_machine
run_stages --model "$model" "xumx-slicq-${name//_/-}"
