# Sets variables of the script that sources this file from its command line, by pairs:
# `--name value` sets $name, which the script has to have set before (to its default); dashes in
# the name stand for underscores. `--help` prints the comments at the heads of the recipe's run.sh
# and of the one beside this file.

_fail() { echo "$0: $1 (--help lists the options)" >&2; exit 2; }

while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      for _file in "$0" "$COMMON/run.sh"; do
        sed -n '/^#!/d; /^#/!{s/.*//p; q}; s/^# \{0,1\}//p' "$_file"
      done
      exit 0
      ;;
    --*)
      _name=${1#--}
      _name=${_name//-/_}
      [[ $_name =~ ^[a-z][a-z0-9_]*$ && -n ${!_name+set} ]] || _fail "unknown option $1"
      [[ $# -ge 2 ]] || _fail "option $1 needs a value"
      if [[ ${!_name} =~ ^(true|false)$ && ! $2 =~ ^(true|false)$ ]]; then
        _fail "option $1 must be true or false, got '$2'"
      fi
      if [[ -z $2 && $_name != @(*_options|id) ]]; then
        _fail "option $1 must not be empty (is a variable not set?)"
      fi
      printf -v "$_name" '%s' "$2"
      shift 2
      ;;
    *) _fail "unexpected argument '$1'" ;;
  esac
done
unset _name
unset -f _fail
