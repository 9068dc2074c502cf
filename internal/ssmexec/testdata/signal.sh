#!/bin/sh
# amx-signal 3f2a9c0d1e2b4a5c 01JD8Z5T3M6Q9W2X4Y7B0C1D2E SIGTERM restart
amx_run=01JD8Z5T3M6Q9W2X4Y7B0C1D2E
amx_signal=TERM
amx_at() { # amx_t: when process $1 started; empty if it is gone
  amx_t=
  if { while read -r amx_l; do amx_t="$amx_t $amx_l"; done <"/proc/$1/stat"; } 2>/dev/null; then
    # A process may have any name, but after its ")" there are only fields.
    # shellcheck disable=SC2086
    set -- ${amx_t##*) }
    case ${1-Z} in
    Z | X) amx_t= ;; # it has ended
    *) shift 19 && amx_t=$1 ;;
    esac
  elif ! [ -r /proc/self/stat ]; then
    amx_t=$(ps -o lstart= -p "$1" 2>/dev/null | tr -cd '[:alnum:]')
  fi
}
amx_alive() { # $1 PID, $2 start time, $3 boot: is that process still there?
  amx_at "${1:-none}"
  [ -n "$amx_t" ] && [ "$amx_t" = "$2" ] && [ "$amx_boot" = "${3-}" ]
}
amx_boot=-
{ read -r amx_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
amx_dir=${AMX_STATE_DIR:-/var/lib/amx}
unset AMX_STATE_DIR
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
