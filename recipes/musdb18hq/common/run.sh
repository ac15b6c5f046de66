# Options of all recipes, as pairs (booleans are true or false):
#   --quick BOOL        the settings "quick" on a handful of short procedural tracks
#   --stage N           first stage to run: 0 data, 1 training, 2 evaluation, 3 publishing
#   --stop_stage N      last one
#   --tag NAME          of the experiment; the same again continues it
#   --musdb PATH        existing tree: PATH/{train,test}/<track>/{mixture,bass,…}.wav, or that of
#                       MUSDB18, PATH/{train,test}/<track>.stem.mp4, which is unpacked to --data_dir
#   --download BOOL     download MUSDB18-HQ from Zenodo, to --musdb or data/musdb18hq (needs 57 GB,
#                       32 GB in the end); the same again goes on where it stopped
#   --delete_zip BOOL   remove the downloaded archive once it is unpacked
#   --subset BOOL       accept a part of MUSDB18-HQ
#   --expdir PATH       the experiment, where it shall not lie beside the recipe
#   --data_dir PATH     composed stems, made where there is no --musdb; or unpacked stem files
#   --data_root PATH    where stems are made in a folder that is named by their number, length and seed;
#                       default: data beside the recipe
#   --n_tracks N        how many tracks of them
#   --seconds S         their length
#   --test_tracks N     how many of them are held out for stage 2; a third by default
#   --jobs N            processes that render them
#   --sounds KIND       procedural, sampled (recorded sounds, see `asteroid-slicq sounds`) or both
#   --bank DIR          of recorded sounds, built where it is missing; default: the one in your cache
#   --seed K            their seed
#   --fast BOOL         score without museval (BSSEval v4), which takes minutes a track; SDR is the
#                       same; default: true with --quick, else false
#   --init MODEL        weights to start from: a file, a folder or an id of the Hugging Face Hub
#   --train_options "…" options of train.py: "--max_time_s 3600 --lr 0.0005"
#   --eval_options "…"  options of eval.py: "--device cuda --n_workers 8"
#   --repo USER/NAME    repository on the Hugging Face Hub, of stage 3
#   --publish BOOL      publish there; else stage 3 writes the files to <expdir>/publish (dry run)
#   --trained_on DATA   for the model card: musdb18-hq with --musdb or --download, musdb18 with stem
#                       files, else procedural
#   --python PATH       interpreter
#   --id IDS            devices that CUDA may see: 0,1

# The body of a recipe's run.sh, which sources this file once it has set
#   RECIPE      what its models are published as: USER/<recipe>-<settings>
#   OPTION      of the command line that names the settings, and a variable of that name: the default
#   EXPERIMENT  in exp/train_<experiment>_<tag>; empty: the name of the settings
COMMON=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
BASE=${!OPTION}

stage=0
stop_stage=3
tag=default
quick=false
musdb=
download=false
delete_zip=false
subset=false
expdir=
data_dir=
data_root=
n_tracks=
seconds=
test_tracks=
jobs=1
sounds=procedural
bank=
seed=42
fast=
init=
train_options=
eval_options=
repo=
publish=false
trained_on=
python=python
id=${CUDA_VISIBLE_DEVICES-}

. "$COMMON/parse_options.sh"

if [[ $quick == true ]]; then
  printf -v "$OPTION" quick
  n_tracks=${n_tracks:-6}
  seconds=${seconds:-8}
fi
fast=${fast:-$quick}
n_tracks=${n_tracks:-64}
seconds=${seconds:-40}

# Paths are those of the caller. What the recipe writes lies beside it, unless told otherwise.
absolute() { if [[ -z $1 || $1 == /* ]]; then echo "$1"; else echo "$PWD/$1"; fi; }

settings=${!OPTION}
if [[ $settings == *.y*ml ]]; then settings=$(absolute "$settings"); fi
settings_name=$(basename "${settings%.y*ml}")
if [[ -z $musdb && $download == true ]]; then musdb=$HERE/data/musdb18hq; fi
musdb=$(absolute "$musdb")
expdir=$(absolute "$expdir")
data_dir=$(absolute "$data_dir")
data_root=$(absolute "$data_root")
bank=$(absolute "$bank")
stems=
if [[ -n $musdb ]] && compgen -G "$musdb/train/*.stem.mp4" >/dev/null; then
  stems=$musdb
elif [[ -n $musdb ]]; then
  data_dir=$musdb
fi
if [[ -e $init ]]; then init=$(absolute "$init"); fi
if [[ $python == */* ]]; then python=$(absolute "$python"); fi
cd "$HERE"
if [[ -n $stems ]]; then data_dir=${data_dir:-data/musdb18}; fi
made=${sounds}_${n_tracks}x${seconds}s_seed${seed}${test_tracks:+_test$test_tracks}
data_dir=${data_dir:-${data_root:-data}/$made}
expdir=${expdir:-exp/train_${EXPERIMENT:-$settings_name}_${tag}}
logs=$expdir/logs
training=(train.py "--$OPTION" "$settings" --exp_dir "$expdir" --data_dir "$data_dir" ${init:+--init "$init"})

# Wrong options are refused before anything is written.
refuse() { echo "$1" >&2; exit 1; }
for option in stage stop_stage; do
  [[ ${!option} =~ ^[0-3]$ ]] || refuse "--$option must be 0, 1, 2 or 3, got ${!option}"
done
[[ $stage -le $stop_stage ]] || refuse "--stage $stage must not come after --stop_stage $stop_stage"
for option in n_tracks seconds jobs seed test_tracks; do
  [[ ${!option} =~ ^([0-9]+\.?[0-9]*)?$ ]] || refuse "--$option must be a number, got ${!option}"
done
[[ $sounds =~ ^(procedural|sampled|both)$ ]] ||
  refuse "--sounds must be procedural, sampled or both, got $sounds"
[[ $tag != */* ]] || refuse "--tag must be a name without slashes, got '$tag'"
if [[ $stage -ge 2 && ! -f $expdir/best_model.pth ]]; then
  refuse "no $expdir/best_model.pth: train first (--stage 1), or name a --tag or --expdir that is there"
fi
if [[ $settings != "$BASE" && ! -f $settings && ! -f local/$settings.yml ]]; then
  refuse "--$OPTION must be $BASE, the name of a file in local/, or a YAML file, got $settings"
fi
if [[ -n $musdb && $download != true && ! -d $musdb/train ]]; then
  refuse "no folder $musdb/train: --musdb must name the tree of MUSDB18-HQ"
fi
if [[ $publish == true && -z $repo ]]; then
  refuse "--publish true needs --repo USER/NAME"
fi

export PYTHONPATH=$(dirname "$COMMON")${PYTHONPATH:+:$PYTHONPATH} # where the package `common` is
if [[ -n $id ]]; then export CUDA_VISIBLE_DEVICES=$id; fi
# Threads that wait for work by spinning slow each other down wherever cores are shared.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
mkdir -p "$logs"

if [[ $stage -le 0 && $stop_stage -ge 0 ]]; then
  echo "Stage 0: data in $data_dir"
  if [[ -z $musdb ]]; then
    if [[ -f $data_dir/.complete ]]; then
      echo "already made"
    else
      if [[ -n $bank && $sounds != procedural ]]; then
        export ASTEROID_SLICQ_SOUNDS=$bank
        if [[ ! -f $bank/bank.zip ]]; then
          echo "sounds in $bank"
          $python -m asteroid_slicq sounds build --cache "$bank" 2>&1 | tee "$logs/sounds.log"
        fi
      fi
      $python -m asteroid_slicq synth "$data_dir" \
        --tracks "$n_tracks" --seconds "$seconds" --seed "$seed" --sounds "$sounds" \
        --jobs "$jobs" ${test_tracks:+--test-tracks "$test_tracks"} 2>&1 | tee "$logs/data.log"
      touch "$data_dir/.complete"
    fi
  fi
  # Its progress bar needs the terminal, so that only what it found goes to the log.
  $python -m common.prepare_data "$data_dir" ${stems:+--stems "$stems"} --download "$download" \
    --delete_zip "$delete_zip" --subset "$subset" --known data/known | tee -a "$logs/data.log"
  # shellcheck disable=SC2086
  $python "${training[@]}" $train_options --check true | tee -a "$logs/data.log"
fi

if [[ $stage -le 1 && $stop_stage -ge 1 ]]; then
  echo "Stage 1: training in $expdir"
  errors=/dev/stdout
  if [[ -t 2 ]]; then errors=/dev/tty; fi # the progress bar; a log gets lines of text
  # Ctrl-C ends the training, which then says what is there: its log outlives it.
  # shellcheck disable=SC2086
  $python "${training[@]}" $train_options 2>"$errors" | tee -a -i "$logs/train.log"
fi

if [[ $stage -le 2 && $stop_stage -ge 2 ]]; then
  echo "Stage 2: evaluation of $expdir/best_model.pth"
  # shellcheck disable=SC2086
  $python eval.py --exp_dir "$expdir" --data_dir "$data_dir" --fast "$fast" $eval_options \
    2>&1 | tee "$logs/eval.log"
fi

if [[ $stage -le 3 && $stop_stage -ge 3 ]]; then
  if [[ -z $trained_on ]]; then
    trained_on=procedural
    if [[ -n $musdb ]]; then trained_on=musdb18-hq; fi
    if [[ -n $stems ]]; then trained_on=musdb18; fi
  fi
  name=$RECIPE-${settings_name//_/-}
  options=(--repo "${repo:-user/${name%-published}}" --trained-on "$trained_on")
  if [[ -f $expdir/metrics.json ]]; then
    options+=(--metrics "$expdir/metrics.json")
  else
    echo "no $expdir/metrics.json: the model card will have no scores"
  fi
  if [[ $publish == true ]]; then
    echo "Stage 3: publishing as $repo"
  else
    echo "Stage 3: the files to publish, in $expdir/publish"
    options+=(--dry-run -o "$expdir/publish" --overwrite)
  fi
  $python -m asteroid_slicq publish "$expdir/best_model.pth" "${options[@]}" \
    2>&1 | tee "$logs/publish.log"
fi
