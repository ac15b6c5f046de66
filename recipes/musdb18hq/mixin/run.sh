#!/usr/bin/env bash
# Train and evaluate MiXiN on MUSDB18-HQ, or on procedural stems where that is not at hand.
#
#   ./run.sh --musdb /data/musdb18hq --tag first        the published settings
#   ./run.sh --quick true --tag try                     all stages in minutes, no download
#
# Options, as pairs (booleans are true or false):
#   --stage N           first stage to run: 0 data, 1 training, 2 evaluation, 3 publishing
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
#   --fast BOOL         score without museval (BSSEval v4), which takes minutes a track; SDR is the
#                       same; default: true with --quick, else false
#   --train_options "…" options of train.py: "--epochs 20 --lr 0.0005"
#   --eval_options "…"  options of eval.py: "--instrumental true --single_model true"
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
fast=
train_options=
eval_options=
repo=
publish=false
trained_on=
python=python
id=${CUDA_VISIBLE_DEVICES-}

. "$HERE/../xumx_slicq/utils/parse_options.sh"
. "$HERE/../xumx_slicq/utils/stages.sh"

if [[ $quick == true ]]; then
  conf=quick
  n_tracks=${n_tracks:-6}
  seconds=${seconds:-8}
  fast=${fast:-true}
fi
fast=${fast:-false}
if [[ $conf == *.y*ml ]]; then conf=$(absolute "$conf"); fi
resolve_paths
expdir=${expdir:-exp/train_mixin_${tag}}

name=mixin
if [[ $conf != published ]]; then
  name=mixin-$(basename "${conf%.y*ml}")
fi

check_settings conf published "$conf"
check_musdb
prepare_machine
run_stages --conf "$conf" "${name//_/-}"
