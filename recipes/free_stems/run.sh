#!/usr/bin/env bash
# A model from nothing but sounds that anyone may use.
#
#   ./run.sh                                 all stages: see README.md
#   ./run.sh --quick true --tag try          all stages in a few minutes, once the bank is there
#   ./run.sh --model bandsplit               local/<model>.yml or a YAML file; default: free
#   ./run.sh --bank DIR                      a bank of sounds that is there; else it is built
#
# The experiment is exp/train_<model>, with --tag exp/train_<model>_<tag>. All other options are those of
# the run.sh of the model's recipe in ../musdb18hq, xumx_slicq or bandsplit, which does the work.
set -e
set -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bank=${ASTEROID_SLICQ_SOUNDS:-$here/data/sounds}
quick=false
model=free
tag=
options=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      sed -n '/^#!/d; /^#/!{s/.*//p; q}; s/^# \{0,1\}//p' "$0"
      exec "$here/../musdb18hq/xumx_slicq/run.sh" --help
      ;;
  esac
  if [[ $1 != --* || $# -lt 2 ]]; then
    echo "$0: options come in pairs, --name value, got '$1' (--help lists them)" >&2
    exit 2
  fi
  case $1 in
    --bank) bank=$2 ;;
    --quick) quick=$2 ;;
    --model) model=$2 ;;
    --tag) tag=$2; options+=("$1" "$2") ;;
    *) options+=("$1" "$2") ;;
  esac
  shift 2
done

settings=$model
if [[ $settings != *.y*ml ]]; then settings=$here/local/$model.yml; fi
if [[ ! -f $settings ]]; then
  echo "$0: --model must be the name of a file in local/ or a YAML file, got '$model'" >&2
  exit 2
fi
size=(--n_tracks 512 --seconds 30)
# The recipe whose model it is: that of the preset, in the file or in the one that it is over.
recipe=xumx_slicq
over=$(sed -n 's/^over: *//p' "$settings")
if grep -qs '^ *preset: *bandsplit' "$settings" "$(dirname "$settings")/$over"; then
  recipe=bandsplit
fi
if [[ $quick == true ]]; then
  settings=$here/local/quick.yml
  if [[ $recipe == bandsplit ]]; then settings=$here/local/quick_bandsplit.yml; fi
  size=(--n_tracks 6 --seconds 8 --fast true)
fi
name=$(basename "${settings%.y*ml}")${tag:+_$tag}

exec "$here/../musdb18hq/$recipe/run.sh" --model "$settings" --sounds both --bank "$bank" \
  --trained_on free-stems --data_root "$here/data" --expdir "$here/exp/train_$name" \
  "${size[@]}" "${options[@]}"
