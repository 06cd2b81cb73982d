$ErrorActionPreference = "Stop"
trap { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }
$changed = $false
$reboot = $false
$more = @{}
if ($env:SOURCE) { $more.Source = $env:SOURCE }
if (Get-Command -Name Install-WindowsFeature -ErrorAction SilentlyContinue) {
    $feature = Get-WindowsFeature -Name $env:NAME
    if ($null -eq $feature) { throw "there is no feature '$env:NAME'" }
    if ($env:STATE -eq "present" -and -not $feature.Installed) {
        $done = Install-WindowsFeature -Name $env:NAME -IncludeManagementTools @more
        $changed = $true
    } elseif ($env:STATE -eq "absent" -and $feature.Installed) {
        $done = Uninstall-WindowsFeature -Name $env:NAME
        $changed = $true
    }
    if ($changed) {
        if (-not $done.Success) { throw "the feature '$env:NAME' could not be changed: $($done.ExitCode)" }
        $reboot = $done.RestartNeeded -ne "No"
    }
} else {
    $feature = Get-WindowsOptionalFeature -Online -FeatureName $env:NAME
    if ($null -eq $feature) { throw "there is no feature '$env:NAME'" }
    if ($env:STATE -eq "present" -and $feature.State -notlike "Enable*") {
        $done = Enable-WindowsOptionalFeature -Online -FeatureName $env:NAME -All -NoRestart @more
        $changed = $true
    } elseif ($env:STATE -eq "absent" -and $feature.State -like "Enable*") {
        $done = Disable-WindowsOptionalFeature -Online -FeatureName $env:NAME -NoRestart
        $changed = $true
    }
    if ($changed) { $reboot = [bool]$done.RestartNeeded }
}
@{ changed = $changed; rebootNeeded = $reboot } | ConvertTo-Json -Compress
