# What the recipes of this data set have in common. A run.sh sources this file once its options are
# parsed: these functions read and set its variables.

SHARED=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Paths are those of the caller. What the recipe writes lies beside it, unless told otherwise.
absolute() { if [[ -z $1 || $1 == /* ]]; then echo "$1"; else echo "$PWD/$1"; fi; }

# resolve_paths: of the data, the experiment and the interpreter; from then on the recipe's folder
# is the working directory.
resolve_paths() {
  n_tracks=${n_tracks:-64}
  seconds=${seconds:-40}
  if [[ -z $musdb && $download == true ]]; then musdb=$HERE/data/musdb18hq; fi
  musdb=$(absolute "$musdb")
  expdir=$(absolute "$expdir")
  data_dir=${musdb:-$(absolute "$data_dir")}
  if [[ $python == */* ]]; then python=$(absolute "$python"); fi
  cd "$HERE"
  data_dir=${data_dir:-data/procedural_${n_tracks}x${seconds}s_seed${seed}}
}

# check_settings OPTION BASE VALUE: that there are such settings, before anything is written.
check_settings() {
  if [[ $3 != "$2" && ! -f $3 && ! -f local/$3.yml ]]; then
    echo "--$1 must be $2, the name of a file in local/, or a YAML file, got $3" >&2
    exit 1
  fi
}

# check_musdb: that --musdb names a tree, before anything is written.
check_musdb() {
  if [[ -n $musdb && $download != true && ! -d $musdb/train ]]; then
    echo "no folder $musdb/train: --musdb must name the tree of MUSDB18-HQ" >&2
    exit 1
  fi
}

# prepare_machine: the devices and how threads wait.
prepare_machine() {
  if [[ -n $id ]]; then export CUDA_VISIBLE_DEVICES=$id; fi
  # Threads that wait for work by spinning slow each other down wherever cores are shared.
  export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
}

# stage_0: data.
stage_0() {
  echo "Stage 0: data in $data_dir"
  if [[ -z $musdb ]]; then
    if [[ -f $data_dir/.complete ]]; then
      echo "already made"
    else
      $python -m asteroid_slicq synth "$data_dir" \
        --tracks "$n_tracks" --seconds "$seconds" --seed "$seed" 2>&1 | tee "$logs/data.log"
      touch "$data_dir/.complete"
    fi
  fi
  # Its progress bar needs the terminal, so that only what it found goes to the log.
  $python "$SHARED/local/prepare_data.py" "$data_dir" --download "$download" \
    --delete_zip "$delete_zip" --subset "$subset" | tee -a "$logs/data.log"
}

# stage_1 OPTION VALUE: training with these settings.
stage_1() {
  echo "Stage 1: training in $expdir"
  local errors=/dev/stdout
  if [[ -t 2 ]]; then errors=/dev/tty; fi # the progress bar; a log gets lines of text
  # shellcheck disable=SC2086
  $python train.py "$1" "$2" --exp_dir "$expdir" --data_dir "$data_dir" $train_options \
    2>"$errors" | tee -a "$logs/train.log"
}

# stage_2: evaluation.
stage_2() {
  echo "Stage 2: evaluation of $expdir/best_model.pth"
  # shellcheck disable=SC2086
  $python eval.py --exp_dir "$expdir" --data_dir "$data_dir" --fast "$fast" $eval_options \
    2>&1 | tee "$logs/eval.log"
}

# stage_3 NAME: publishing, as --repo, or user/NAME in a dry run.
stage_3() {
  if [[ -z $trained_on ]]; then
    if [[ -n $musdb ]]; then trained_on=musdb18-hq; else trained_on=procedural; fi
  fi
  local options=(--repo "${repo:-user/$1}" --trained-on "$trained_on")
  if [[ -f $expdir/metrics.json ]]; then
    options+=(--metrics "$expdir/metrics.json")
  else
    echo "no $expdir/metrics.json: the model card will have no scores"
  fi
  if [[ $publish == true ]]; then
    [[ -n $repo ]] || { echo "--publish true needs --repo USER/NAME" >&2; exit 1; }
    echo "Stage 3: publishing as $repo"
  else
    echo "Stage 3: the files to publish, in $expdir/publish"
    options+=(--dry-run -o "$expdir/publish" --overwrite)
  fi
  $python -m asteroid_slicq publish "$expdir/best_model.pth" "${options[@]}" \
    2>&1 | tee "$logs/publish.log"
}

# run_stages OPTION VALUE NAME: those that were asked for.
run_stages() {
  logs=$expdir/logs
  mkdir -p "$logs"
  local n
  for n in 0 1 2 3; do
    if [[ $stage -le $n && $stop_stage -ge $n ]]; then
      case $n in
        0) stage_0 ;;
        1) stage_1 "$1" "$2" ;;
        2) stage_2 ;;
        3) stage_3 "$3" ;;
      esac
    fi
  done
}
