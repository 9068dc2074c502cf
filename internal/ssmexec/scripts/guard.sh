# One pass per run and node. A link names who runs it; beside it stand its
# process and, in the end, its exit code. A second pass reports what the first
# one did. The links also fit on a disk that is full.
amx_take() { # in state directory $1: 0 taken, 1 was taken before, 2 cannot
  amx_f=$1/runs/$amx_run
  [ -L "$amx_f" ] && return 1
  [ -d "$1/runs" ] || (umask 077 && mkdir -p "$1/runs") 2>/dev/null
  { echo "$amx_self" >"$amx_f.$amx_me"; } 2>/dev/null &&
    ln -sn "$amx_me" "$amx_f" 2>/dev/null && return 0
  [ -L "$amx_f" ] && return 1
  rm -f "$amx_f.$amx_me" 2>/dev/null
  return 2
}
amx_writable() { # state directory $1, or where it would be made
  amx_p=$1/runs
  while ! [ -e "$amx_p" ] && [ -n "$amx_p" ]; do amx_p=${amx_p%/*}; done
  [ -w "${amx_p:-/}" ] || return 1
  # To root, busybox calls everything writable.
  case $(LC_ALL=C touch "$amx_p/amx.$$" 2>&1) in *[Rr]ead-only*) return 1 ;; esac
  rm -f "$amx_p/amx.$$"
}
amx_elsewhere() { # ends this pass: another one runs
  echo "amx: runs here: $amx_owner"
  exit 0
}
amx_over() { # ends this pass if the first one has ended
  amx_code=$(readlink "$amx_f.exit")
  case $amx_code in
  194) [ "$amx_owner" = "$amx_me" ] || amx_elsewhere ;; # until its reboot
  [0-9]*)
    echo "amx: already run here, exit $amx_code"
    exit "$amx_code"
    ;;
  esac
}
amx_second() { # ends this pass unless it is the one after a reboot
  amx_owner=$(readlink "$amx_f")
  amx_over
  if [ "$amx_code" = 194 ]; then
    echo "$amx_self" >"$amx_f.$amx_me"
    mv "$amx_f.exit" "$amx_f.before" 2>/dev/null || amx_elsewhere
    return
  fi
  for amx_p in "$amx_f.$amx_owner" "$amx_f.pid"; do
    amx_x=
    { read -r amx_x <"$amx_p"; } 2>/dev/null
    # shellcheck disable=SC2086
    amx_alive $amx_x && amx_elsewhere
  done
  amx_over # it may have ended between the two looks
  [ "$amx_code" = 194 ] && amx_elsewhere
  echo "amx: already run here, exit 1" # it was cut off
  exit 1
}
amx_at $$
amx_self="$$ $amx_t $amx_boot"
amx_me=${SSM_COMMAND_ID:-$amx_boot.$$.$amx_t}
amx_full=/run/amx # where the guard is when the disk is full
if [ -L "$amx_full/runs/$amx_run" ]; then amx_dir=$amx_full; fi
amx_take "$amx_dir"
amx_got=$?
if [ $amx_got = 2 ] && [ "$amx_dir" != "$amx_full" ] && amx_writable "$amx_dir"; then
  amx_take "$amx_full"
  amx_got=$?
  if [ $amx_got = 0 ] && [ -L "$amx_dir/runs/$amx_run" ]; then
    rm -f "$amx_f" # there was room again, for another pass
    amx_f=$amx_dir/runs/$amx_run amx_got=1
  fi
elif [ $amx_got = 0 ] && [ -L "$amx_full/runs/$amx_run" ]; then
  sleep 1 # another pass found the disk full; it goes first, unless it saw this one
  if [ -L "$amx_full/runs/$amx_run" ]; then amx_f=$amx_full/runs/$amx_run amx_got=1; fi
fi
case $amx_got in
1) amx_second ;;
2)
  echo "amx: cannot write $amx_dir/runs, so this run is not started" >&2
  exit 1
  ;;
esac
case $amx_run in # now and then
*0) find "${amx_f%/*}" ! -type d -mtime +7 -exec rm -f {} + 2>/dev/null ;;
esac
if [ -z "${HOME-}" ]; then
  HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
  export HOME="${HOME:-/}"
fi
