$ErrorActionPreference = "Stop"
trap { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }
$changed = $false
$found = @(Get-Process -Name $env:NAME -ErrorAction SilentlyContinue)
if ($env:STATE -eq "absent" -and $found.Count -gt 0) {
    $found | Stop-Process -Force
    $found | Wait-Process -Timeout 30 -ErrorAction SilentlyContinue
    $changed = $true
    $found = @(Get-Process -Name $env:NAME -ErrorAction SilentlyContinue)
    if ($found.Count -gt 0) { throw "$($found.Count) of '$env:NAME' still run" }
}
if ($env:STATE -eq "running" -and $found.Count -eq 0) { throw "no '$env:NAME' runs" }
$memory = ($found | Measure-Object -Property WorkingSet64 -Sum).Sum
@{ changed = $changed; count = $found.Count; memoryMiB = [int][Math]::Floor([double]$memory / 1048576) } | ConvertTo-Json -Compress
