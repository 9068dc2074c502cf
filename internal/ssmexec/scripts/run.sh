(
  { read -r amx_p amx_x </proc/self/stat; } 2>/dev/null || amx_p=$(exec sh -c 'echo "$PPID"')
  amx_at "$amx_p"
  echo "$amx_p $amx_t $amx_boot" >"$amx_f.pid"
  exec @COMMAND@
)
amx_code=$?
echo "$amx_code" >"$amx_f.exit"
exit "$amx_code"
