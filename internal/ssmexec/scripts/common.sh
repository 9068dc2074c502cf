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
