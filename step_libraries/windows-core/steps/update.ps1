$ErrorActionPreference = "Stop"
trap { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }
# The update agent refuses to install for somebody who logged in from afar: then the work is a task of SYSTEM.
$work = {
    param($install, $securityOnly)
    $ErrorActionPreference = "Stop"
    $security = "0fa1201d-4330-4fa8-8ae9-b877473b6441"
    $session = New-Object -ComObject Microsoft.Update.Session
    $filter = "IsInstalled=0 and IsHidden=0 and Type='Software'"
    if ($securityOnly) { $filter += " and CategoryIDs contains '$security'" }
    $found = $session.CreateUpdateSearcher().Search($filter).Updates
    $installed = 0
    if ($install -and $found.Count -gt 0) {
        $wanted = New-Object -ComObject Microsoft.Update.UpdateColl
        foreach ($update in $found) {
            if ($update.InstallationBehavior.CanRequestUserInput) { continue }
            if (-not $update.EulaAccepted) { $update.AcceptEula() }
            $wanted.Add($update) | Out-Null
        }
        if ($wanted.Count -gt 0) {
            $fetch = $session.CreateUpdateDownloader()
            $fetch.Updates = $wanted
            $fetch.Download() | Out-Null
            $put = $session.CreateUpdateInstaller()
            $put.Updates = $wanted
            $done = $put.Install()
            for ($n = 0; $n -lt $wanted.Count; $n++) {
                if ($done.GetUpdateResult($n).ResultCode -in @(2, 3)) { $installed++ }
            }
        }
    }
    $reboot = (New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired
    @{ found = $found.Count; installed = $installed; rebootNeeded = [bool]$reboot; changed = ($installed -gt 0) } |
        ConvertTo-Json -Compress
}
$install = $env:INSTALL -eq "true"
$securityOnly = $env:SECURITY_ONLY -eq "true"
if (-not $install -or [Environment]::UserInteractive) {
    & $work $install $securityOnly
    exit 0
}
$folder = Join-Path -Path $env:ProgramData -ChildPath ("opsconductor-" + [guid]::NewGuid())
# made with its own rights, which nothing inherits over: what SYSTEM runs and answers is no ordinary user's to write
$rights = New-Object System.Security.AccessControl.DirectorySecurity
$rights.SetSecurityDescriptorSddlForm("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", "Access")
if ($PSVersionTable.PSEdition -eq "Core") {
    [System.IO.FileSystemAclExtensions]::CreateDirectory($rights, $folder) | Out-Null
} else {
    [System.IO.Directory]::CreateDirectory($folder, $rights) | Out-Null
}
$name = Split-Path -Path $folder -Leaf
try {
    $answer = Join-Path -Path $folder -ChildPath "answer.json"
    $script = Join-Path -Path $folder -ChildPath "work.ps1"
    $call = "& { $work } `$$install `$$securityOnly | Set-Content -LiteralPath '$answer.part'; Move-Item '$answer.part' '$answer'"
    Set-Content -LiteralPath $script -Value $call -Encoding UTF8
    $run = "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$script`""
    $action = New-ScheduledTaskAction -Execute "powershell.exe" -Argument $run
    $who = New-ScheduledTaskPrincipal -UserId "SYSTEM" -LogonType ServiceAccount -RunLevel Highest
    Register-ScheduledTask -TaskName $name -Action $action -Principal $who | Out-Null
    Start-ScheduledTask -TaskName $name
    while (-not (Test-Path -LiteralPath $answer)) {
        Start-Sleep -Seconds 5
        if ((Get-ScheduledTask -TaskName $name).State -eq "Ready" -and -not (Test-Path -LiteralPath $answer)) {
            throw "the update agent failed: $((Get-ScheduledTaskInfo -TaskName $name).LastTaskResult)"
        }
    }
    Get-Content -LiteralPath $answer -Raw
} finally {
    Unregister-ScheduledTask -TaskName $name -Confirm:$false -ErrorAction SilentlyContinue
    Remove-Item -LiteralPath $folder -Recurse -Force -ErrorAction SilentlyContinue
}
