amx_f=$amx_dir/runs/$amx_run
if ! [ -L "$amx_f" ] && [ -L "/run/amx/runs/$amx_run" ]; then
  amx_f=/run/amx/runs/$amx_run
fi
(umask 077 && mkdir -p "${amx_f%/*}") 2>/dev/null
if ln -sn resolved "$amx_f" 2>/dev/null; then
  echo 143 >"$amx_f.exit"
  echo "amx: not started here, and will not be"
  exit 0
fi
amx_n=0
while :; do
  amx_x=
  { read -r amx_x <"$amx_f.pid"; } 2>/dev/null
  if [ -n "$amx_x" ] || [ -e "$amx_f.exit" ] || [ $amx_n -ge 50 ]; then break; fi
  amx_n=$((amx_n + 1))
  sleep 0.1 2>/dev/null || sleep 1
done
if ! amx_alive $amx_x; then
  echo "amx: not running here any more"
elif ln -sn "${SSM_COMMAND_ID:-$$}" "$amx_f.signal" 2>/dev/null; then
  kill -s "$amx_signal" "${amx_x%% *}" && echo "amx: sent SIG$amx_signal to process ${amx_x%% *}"
else
  echo "amx: signalled before"
fi
