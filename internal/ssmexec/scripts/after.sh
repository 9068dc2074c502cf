  # A run for this alert came before. It may go on although SSM calls it over: a
  # crash of the agent leaves its command behind. So may one before that.
  amx_b=@PREV@
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
