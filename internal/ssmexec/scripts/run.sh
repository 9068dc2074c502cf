(
  { read -r amx_p amx_x </proc/self/stat; } 2>/dev/null || amx_p=$(exec sh -c 'echo "$PPID"')
  amx_at "$amx_p"
  echo "$amx_p $amx_t $amx_boot" >"$amx_f.pid"
  [ -L "$amx_f.signal" ] && exit 143 # resolved before it began
  @EXEC@
)
amx_code=$?
ln -sn "$amx_code" "$amx_f.exit"
exit "$amx_code"
