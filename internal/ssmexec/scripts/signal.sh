amx_f=$amx_dir/runs/$amx_run
if ! [ -L "$amx_f" ] && [ -L "/run/amx/runs/$amx_run" ]; then
  amx_f=/run/amx/runs/$amx_run
fi
[ -d "${amx_f%/*}" ] || (umask 077 && mkdir -p "${amx_f%/*}") 2>/dev/null
if ln -sn resolved "$amx_f" 2>/dev/null; then
  ln -sn 143 "$amx_f.exit"
  echo "amx: not started here, and will not be"
  exit 0
fi
# This link comes before the look at the process, as the run writes its process
# before it looks for the link: one of the two sees the other.
if ! amx_x=$(ln -sn "${SSM_COMMAND_ID:-$$}" "$amx_f.signal" 2>&1); then
  if [ -L "$amx_f.signal" ]; then
    echo "amx: signalled before"
    exit 0
  fi
  echo "$amx_x" >&2
  exit 1
fi
amx_x=
{ read -r amx_x <"$amx_f.pid"; } 2>/dev/null
# shellcheck disable=SC2086
if [ -L "$amx_f.exit" ] || ! amx_alive $amx_x; then
  echo "amx: not running here"
elif kill -s "$amx_signal" "${amx_x%% *}"; then
  echo "amx: sent SIG$amx_signal to process ${amx_x%% *}"
else
  exit 1
fi
