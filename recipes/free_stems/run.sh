#!/usr/bin/env bash
# A model from nothing but sounds that anyone may use.
#
#   ./run.sh                                 all stages: see README.md
#   ./run.sh --quick true --tag try          all stages in a few minutes
#   ./run.sh --bank DIR                      a bank of sounds that is there; else it is built
#
# All other options are those of ../musdb18hq/xumx_slicq/run.sh, which does the work.
set -e
set -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bank=${ASTEROID_SLICQ_SOUNDS:-$here/data/sounds}
python=python
quick=false
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
    *) options+=("$1" "$2") ;;
  esac
  shift 2
done

export ASTEROID_SLICQ_SOUNDS=$bank
if [[ ! -f $bank/bank.zip ]]; then
  echo "Stage -1: sounds in $bank"
  $python -m asteroid_slicq sounds build --cache "$bank"
fi

settings=free
size=(--n_tracks 512 --seconds 30)
if [[ $quick == true ]]; then
  settings=quick
  size=(--n_tracks 6 --seconds 8 --fast true)
fi
exec "$here/../musdb18hq/xumx_slicq/run.sh" --model "$here/local/$settings.yml" --sounds both \
  --trained_on free-stems --data_dir "$here/data/both" --expdir "$here/exp/train_$settings" \
  "${size[@]}" "${options[@]}"
