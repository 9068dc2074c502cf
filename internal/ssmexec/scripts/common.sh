amx_at() { # amx_t: the start time of process $1, empty if there is none
  amx_t=
  if { read -r amx_t <"/proc/$1/stat"; } 2>/dev/null; then
    amx_t=${amx_t##*) }
    set -- $amx_t
    shift 19
    amx_t=$1
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
