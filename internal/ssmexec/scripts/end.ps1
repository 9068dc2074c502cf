} catch {
  Write-Error -ErrorRecord $_
} finally {
  [IO.File]::WriteAllText("$amxFile.exit", "$amxCode")
  $amxHeld.Close()
}
exit $amxCode
