$ErrorActionPreference = "Stop"
trap { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }
$system = Get-CimInstance -ClassName Win32_OperatingSystem
$free = @{}
foreach ($disk in Get-CimInstance -ClassName Win32_LogicalDisk -Filter "DriveType=3") {
    $free[$disk.DeviceID] = [long][Math]::Floor([double]$disk.FreeSpace / 1048576)
}
$pending = @(
    "HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    "HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
)
@{
    name         = $system.CSName
    system       = $system.Caption
    version      = $system.Version
    memoryMiB    = [long][Math]::Floor([double]$system.TotalVisibleMemorySize / 1024)
    freeMiB      = $free
    upSeconds    = [long]((Get-Date) - $system.LastBootUpTime).TotalSeconds
    rebootNeeded = @($pending | Where-Object { Test-Path -LiteralPath $_ }).Count -gt 0
} | ConvertTo-Json -Compress
