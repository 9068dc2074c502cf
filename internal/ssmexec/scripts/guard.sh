# One pass per run and node. The link names who runs it; its exit code is kept
# beside it. A second pass reports what the first one did.
amx_take() { # in state directory $1: 0 taken, 1 was taken before, 2 not writable
  amx_f=$1/runs/$amx_run
  [ -d "$1/runs" ] || (umask 077 && mkdir -p "$1/runs") 2>/dev/null
  [ -L "$amx_f" ] && return 1
  { echo "$amx_self" >"$amx_f.$amx_me"; } 2>/dev/null || return 2
  ln -sn "$amx_me" "$amx_f" 2>/dev/null && return 0
  rm -f "$amx_f.$amx_me"
  [ -L "$amx_f" ] && return 1
  return 2
}
amx_writable() { # state directory $1, or where it would be made
  amx_p=$1/runs
  while ! [ -e "$amx_p" ] && [ -n "$amx_p" ]; do amx_p=${amx_p%/*}; done
  [ -w "${amx_p:-/}" ]
}
amx_over() { # ends this pass if the first one has ended
  amx_code=
  { read -r amx_code <"$amx_f.exit"; } 2>/dev/null
  case $amx_code in
  194) # it asked for a reboot, and its own pass after that goes on
    [ "$amx_owner" = "$amx_me" ] && return
    echo "amx: runs here: $amx_owner"
    exit 0
    ;;
  [0-9]*)
    echo "amx: already run here, exit $amx_code"
    exit "$amx_code"
    ;;
  esac
}
amx_second() { # ends this pass unless it is the one after a reboot
  amx_owner=$(readlink "$amx_f")
  amx_over
  if [ "$amx_code" != 194 ]; then
    for amx_p in "$amx_f.$amx_owner" "$amx_f.pid"; do
      amx_x=
      { read -r amx_x <"$amx_p"; } 2>/dev/null
      if amx_alive $amx_x; then
        echo "amx: runs here: $amx_owner"
        exit 0
      fi
    done
    amx_over # it may have ended between the two looks
  fi
  if [ "$amx_code" != 194 ]; then
    echo "amx: already run here, exit 1" # it was cut off
    exit 1
  fi
  rm -f "$amx_f.exit"
  echo "$amx_self" >"$amx_f.$amx_me"
}
amx_at $$
amx_self="$$ $amx_t $amx_boot"
amx_me=${SSM_COMMAND_ID:-$amx_boot.$$.$amx_t}
amx_take "$amx_dir"
amx_got=$?
if [ $amx_got = 2 ] && amx_writable "$amx_dir"; then
  amx_dir=/run/amx # the disk is full
  amx_take "$amx_dir"
  amx_got=$?
elif [ $amx_got = 0 ] && [ "$amx_dir" != /run/amx ] && [ -L "/run/amx/runs/$amx_run" ]; then
  amx_f=/run/amx/runs/$amx_run # taken while the disk was full
  amx_got=1
fi
case $amx_got in
1) amx_second ;;
2)
  echo "amx: cannot write $amx_dir/runs, so this run is not started" >&2
  exit 1
  ;;
esac
case $amx_run in # now and then
*0) find "$amx_dir/runs" ! -type d -mtime +7 -exec rm -f {} + 2>/dev/null ;;
esac
if [ -z "${HOME-}" ]; then
  HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
  export HOME="${HOME:-/}"
fi
