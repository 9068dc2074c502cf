# amx runs its command "C--Tools-fix.exe" for the alert below; the command itself is at the end.
# amx 3f2a9c0d1e2b4a5c 01JD8Z5T3M6Q9W2X4Y7B0C1D2G 1/1 C--Tools-fix.exe
$ErrorActionPreference = 'Stop'
$env:AMX_ALERT_1_ANNOTATION_summary = ('It''s at 97 % {' + '{full}}')
$env:AMX_ALERT_1_END = '0'
$env:AMX_ALERT_1_FINGERPRINT = 'a1b2c3d4e5f60718'
$env:AMX_ALERT_1_LABEL_alertname = 'DiskFull'
$env:AMX_ALERT_1_LABEL_instance_id = 'i-0123456789abcdef0'
$env:AMX_ALERT_1_LABEL_severity = 'page'
$env:AMX_ALERT_1_START = '1793872800'
$env:AMX_ALERT_1_STATUS = 'firing'
$env:AMX_ALERT_1_URL = 'https://prometheus.example.com/graph?g0.expr=up'
$env:AMX_ALERT_LEN = '1'
$env:AMX_ALERT_TOTAL = '1'
$env:AMX_ANNOTATION_summary = ('It''s at 97 % {' + '{full}}')
$env:AMX_COMMAND = 'C--Tools-fix.exe'
$env:AMX_EXTERNAL_URL = 'https://alerts.example.com'
$env:AMX_GLABEL_alertname = 'DiskFull'
$env:AMX_LABEL_alertname = 'DiskFull'
$env:AMX_LABEL_instance_id = 'i-0123456789abcdef0'
$env:AMX_LABEL_severity = 'page'
$env:AMX_RECEIVER = 'amx'
$env:AMX_RUN_ID = '01JD8Z5T3M6Q9W2X4Y7B0C1D2G'
$env:AMX_STATUS = 'firing'
$amxRun = '01JD8Z5T3M6Q9W2X4Y7B0C1D2G'
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
# A run for this alert came before. It may go on although SSM calls it over: a
# crash of the agent leaves its command behind. So may one before that.
$amxPrev = '01JD8Z5T3M6Q9W2X4Y7B0C1D2F'
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
$amxStart = New-Object Diagnostics.ProcessStartInfo('C:\Tools\fix.exe', '')
$amxStart.UseShellExecute = $false
$amxProcess = [Diagnostics.Process]::Start($amxStart)
$amxProcess.WaitForExit()
$amxCode = $amxProcess.ExitCode
} catch {
  Write-Error -ErrorRecord $_
} finally {
  [IO.File]::WriteAllText("$amxFile.exit", "$amxCode")
  $amxHeld.Close()
}
exit $amxCode
