# A run for this alert came before. It may go on although SSM calls it over: a
# crash of the agent leaves its command behind. So may one before that.
$amxPrev = '@PREV@'
[IO.File]::WriteAllText("$amxFile.after", $amxPrev)
while ($amxPrev) {
  $amxFound = "$amxDir\runs\$amxPrev"
  if ((Test-Path $amxFound) -and -not (Test-Path "$amxFound.exit")) {
    try { [IO.File]::Open($amxFound, 'Open', 'ReadWrite', 'None').Close() } catch [IO.IOException] {
      $amxCode = 75
      throw "amx: run $amxPrev came before and still goes on here: not started"
    }
  }
  $amxPrev = if (Test-Path "$amxFound.after") { Get-Content "$amxFound.after" }
}
