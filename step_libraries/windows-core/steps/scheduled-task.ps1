$ErrorActionPreference = "Stop"
trap { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }
$changed = $false
$task = Get-ScheduledTask -TaskName $env:NAME -TaskPath "\" -ErrorAction SilentlyContinue
if ($env:STATE -eq "absent") {
    if ($null -ne $task) {
        Unregister-ScheduledTask -TaskName $env:NAME -TaskPath "\" -Confirm:$false
        $changed = $true
    }
} else {
    if (-not $env:PROGRAM -or -not $env:AT) { throw "a task needs 'program' and 'at'" }
    $same = $false
    if ($null -ne $task) {
        $action = @($task.Actions)[0]
        $trigger = @($task.Triggers)[0]
        $same = ($action.Execute -ceq $env:PROGRAM) -and ([string]$action.Arguments -ceq [string]$env:ARGUMENTS) -and
            ($null -ne $trigger) -and (([datetime]$trigger.StartBoundary).ToString("HH:mm") -eq $env:AT) -and
            ($task.Principal.UserId -eq $env:RUN_AS)
    }
    if (-not $same) {
        $more = @{}
        if ($env:ARGUMENTS) { $more.Argument = $env:ARGUMENTS }
        $new = @{
            TaskName  = $env:NAME
            TaskPath  = "\"
            Action    = New-ScheduledTaskAction -Execute $env:PROGRAM @more
            Trigger   = New-ScheduledTaskTrigger -Daily -At $env:AT
            Principal = New-ScheduledTaskPrincipal -UserId $env:RUN_AS -LogonType ServiceAccount
            Force     = $true
        }
        Register-ScheduledTask @new | Out-Null
        $changed = $true
    }
}
@{ changed = $changed } | ConvertTo-Json -Compress
