#!/bin/sh
# amx 3f2a9c0d1e2b4a5c 01JD8Z5T3M6Q9W2X4Y7B0C1D2G 1/1 systemctl
# amx runs its command "systemctl" for the alert below; the command itself is at the end.
export AMX_ALERT_1_ANNOTATION_summary='It'\''s at 97 % {''{full}}'
export AMX_ALERT_1_END='0'
export AMX_ALERT_1_FINGERPRINT='a1b2c3d4e5f60718'
export AMX_ALERT_1_LABEL_alertname='DiskFull'
export AMX_ALERT_1_LABEL_instance_id='i-0123456789abcdef0'
export AMX_ALERT_1_LABEL_severity='page'
export AMX_ALERT_1_START='1793872800'
export AMX_ALERT_1_STATUS='firing'
export AMX_ALERT_1_URL='https://prometheus.example.com/graph?g0.expr=up'
export AMX_ALERT_LEN='1'
export AMX_ALERT_TOTAL='1'
export AMX_ANNOTATION_summary='It'\''s at 97 % {''{full}}'
export AMX_COMMAND='systemctl'
export AMX_EXTERNAL_URL='https://alerts.example.com'
export AMX_GLABEL_alertname='DiskFull'
export AMX_LABEL_alertname='DiskFull'
export AMX_LABEL_instance_id='i-0123456789abcdef0'
export AMX_LABEL_severity='page'
export AMX_RECEIVER='amx'
export AMX_RUN_ID='01JD8Z5T3M6Q9W2X4Y7B0C1D2G'
export AMX_STATUS='firing'
amx_run=01JD8Z5T3M6Q9W2X4Y7B0C1D2G
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
(
  { read -r amx_p amx_x </proc/self/stat; } 2>/dev/null || amx_p=$(exec sh -c 'echo "$PPID"')
  amx_at "$amx_p"
  echo "$amx_p $amx_t $amx_boot" >"$amx_f.pid"
  [ -L "$amx_f.signal" ] && exit 143 # resolved before it began
  # A run for this alert came before. It may go on although SSM calls it over: a
  # crash of the agent leaves its command behind. So may one before that.
  amx_b=01JD8Z5T3M6Q9W2X4Y7B0C1D2F
  ln -sn "$amx_b" "$amx_f.after" 2>/dev/null
  while [ -n "$amx_b" ]; do
    amx_n=
    for amx_d in "$amx_dir" "$amx_full"; do
      amx_o=$amx_d/runs/$amx_b
      amx_n=${amx_n:-$(readlink "$amx_o.after")}
      [ -L "$amx_o.exit" ] && continue
      for amx_r in "$amx_o.$(readlink "$amx_o")" "$amx_o.pid"; do
        amx_x=
        { read -r amx_x <"$amx_r"; } 2>/dev/null
        # shellcheck disable=SC2086
        if amx_alive $amx_x; then
          echo "amx: run $amx_b came before and still goes on here: not started" >&2
          exit 75
        fi
      done
    done
    amx_b=$amx_n
  done
  exec 'systemctl' 'restart' 'nginx'
)
amx_code=$?
ln -sn "$amx_code" "$amx_f.exit"
exit "$amx_code"
