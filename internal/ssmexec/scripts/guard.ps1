# One pass per run and node. The file names who runs it, and who runs it keeps
# it open; its exit code is kept beside it. A second pass reports what the first
# one did.
$amxDir = if ($env:AMX_STATE_DIR) { $env:AMX_STATE_DIR } else { "$env:ProgramData\Amazon\SSM\amx" } # where only administrators write
$env:AMX_STATE_DIR = $null
$amxMe = if ($env:SSM_COMMAND_ID) { $env:SSM_COMMAND_ID } else { "$PID.$([DateTime]::UtcNow.Ticks)" }
$amxFile = "$amxDir\runs\$amxRun"
$null = New-Item -ItemType Directory -Force "$amxDir\runs"
try {
  $amxHeld = [IO.File]::Open($amxFile, 'CreateNew', 'ReadWrite', 'Read')
  $amxBytes = [Text.Encoding]::ASCII.GetBytes($amxMe)
  $amxHeld.Write($amxBytes, 0, $amxBytes.Length)
  $amxHeld.Flush($true)
} catch [IO.IOException] {
  if (-not (Test-Path $amxFile)) { throw } # a full disk, say: then nothing runs
  $amxRead = New-Object IO.StreamReader([IO.File]::Open($amxFile, 'Open', 'Read', 'ReadWrite'))
  $amxOwner = $amxRead.ReadToEnd()
  $amxRead.Close()
  $amxOver = $true
  try { [IO.File]::Open($amxFile, 'Open', 'ReadWrite', 'None').Close() } catch [IO.IOException] { $amxOver = $false }
  $amxCode = if (Test-Path "$amxFile.exit") { [int](Get-Content "$amxFile.exit") } elseif ($amxOver) { 1 } # it was cut off
  if ($amxCode -eq 3010 -and $amxOwner -eq $amxMe) { # it asked for a reboot, and goes on
    Move-Item "$amxFile.exit" "$amxFile.before" -Force
    $amxHeld = [IO.File]::Open($amxFile, 'Open', 'ReadWrite', 'Read')
  } elseif ($null -eq $amxCode -or $amxCode -eq 3010) {
    "amx: runs here: $amxOwner"
    exit 0
  } else {
    "amx: already run here, exit $amxCode"
    exit $amxCode
  }
}
Get-ChildItem "$amxDir\runs" | Where-Object { $_.LastWriteTime -lt (Get-Date).AddDays(-7) } | Remove-Item -Force -ErrorAction SilentlyContinue
$ErrorActionPreference = 'Continue'
$amxCode = 1
try {
