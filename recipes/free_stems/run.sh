#!/usr/bin/env bash
# A model from nothing but sounds that anyone may use.
#
#   ./run.sh                                 all stages: see README.md
#   ./run.sh --quick true --tag try          all stages in a few minutes
#   ./run.sh --model bandsplit               local/<model>.yml or a YAML file; default: free
#   ./run.sh --bank DIR                      a bank of sounds that is there; else it is built
#
# The experiment is exp/train_<model>, with --tag exp/train_<model>_<tag>. All other options are those of
# the run.sh of the model's recipe in ../musdb18hq, xumx_slicq or bandsplit, which does the work.
set -e
set -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bank=${ASTEROID_SLICQ_SOUNDS:-$here/data/sounds}
python=python
quick=false
model=free
tag=
musdb=
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
    --python) python=$2; options+=("$1" "$2") ;;
    --quick) quick=$2 ;;
    --model) model=$2 ;;
    --tag) tag=$2; options+=("$1" "$2") ;;
    --musdb) musdb=$2; options+=("$1" "$2") ;;
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

export ASTEROID_SLICQ_SOUNDS=$bank
if [[ -z $musdb && ! -f $bank/bank.zip ]]; then
  echo "Stage -1: sounds in $bank"
  $python -m asteroid_slicq sounds build --cache "$bank"
fi
exec "$here/../musdb18hq/$recipe/run.sh" --model "$settings" --sounds both \
  --trained_on free-stems --data_dir "$here/data/both" --expdir "$here/exp/train_$name" \
  "${size[@]}" "${options[@]}"
