$ErrorActionPreference = "Stop"
trap { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }
$changed = $false
$service = Get-Service -Name $env:NAME
if ($env:STARTUP) {
    $mode = (Get-CimInstance -ClassName Win32_Service -Filter ("Name='" + $service.Name.Replace("'", "''") + "'")).StartMode
    $wanted = @{ automatic = "Auto"; manual = "Manual"; disabled = "Disabled" }[$env:STARTUP]
    if ($mode -ne $wanted) {
        Set-Service -Name $service.Name -StartupType $env:STARTUP
        $changed = $true
    }
}
switch ($env:STATE) {
    "started" {
        if ($service.Status -ne "Running") { Start-Service -Name $service.Name; $changed = $true }
    }
    "stopped" {
        if ($service.Status -ne "Stopped") { Stop-Service -Name $service.Name -Force; $changed = $true }
    }
    "restarted" { Restart-Service -Name $service.Name -Force; $changed = $true }
}
if ($env:STATE) {
    $end = if ($env:STATE -eq "stopped") { "Stopped" } else { "Running" }
    $service.WaitForStatus($end, [TimeSpan]::FromSeconds(60))
}
$service.Refresh()
@{ changed = $changed; running = ($service.Status -eq "Running") } | ConvertTo-Json -Compress
