  # As another user, in the same process group, which a cancellation ends.
  amx_user=@USER@
  amx_uid=$(id -u "$amx_user") || exit 126
  amx_p=$(getent passwd "$amx_user" 2>/dev/null | cut -d: -f6)
  export HOME="${amx_p:-/}" USER="$amx_user" LOGNAME="$amx_user"
  if [ "$amx_uid" = "$(id -u)" ]; then
    set --
  elif [ "$(id -u)" != 0 ]; then
    set -- sudo -n -E -u "$amx_user" --
  elif setpriv --reuid="$amx_uid" true 2>/dev/null; then
    set -- setpriv --reuid="$amx_uid" --regid="$(id -g "$amx_user")" --init-groups --
  elif command -v runuser >/dev/null; then
    set -- runuser -u "$amx_user" --
  elif command -v sudo >/dev/null; then
    set -- sudo -n -E -u "$amx_user" --
  elif su --help 2>&1 | grep -q session-command; then
    set -- su -m -s /bin/sh --session-command 'exec "$@"' -- "$amx_user" sh
  elif command -v su >/dev/null; then
    set -- su -m -s /bin/sh -c 'exec "$@"' -- "$amx_user" sh
  else
    echo "amx: no way to run as $amx_user: this node has none of setpriv, runuser, sudo and su" >&2
    exit 126
  fi
