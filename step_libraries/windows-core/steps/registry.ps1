$ErrorActionPreference = "Stop"
trap { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }
$changed = $false
# drives of the registry that PowerShell does not have of itself
foreach ($drive in @(@("HKCR", "HKEY_CLASSES_ROOT"), @("HKU", "HKEY_USERS"), @("HKCC", "HKEY_CURRENT_CONFIG"))) {
    if (-not (Test-Path -LiteralPath ($drive[0] + ":\"))) {
        New-PSDrive -Name $drive[0] -PSProvider Registry -Root $drive[1] | Out-Null
    }
}
$item = if (Test-Path -LiteralPath $env:KEY) { Get-Item -LiteralPath $env:KEY } else { $null }
$there = ($null -ne $item) -and ($item.GetValueNames() -contains $env:NAME)
if ($env:STATE -eq "absent") {
    if ($there) {
        Remove-ItemProperty -LiteralPath $env:KEY -Name $env:NAME
        $changed = $true
    }
} else {
    if ($env:GIVEN -ne "true") { throw "it needs 'value'" }
    $value = switch ($env:TYPE) {
        "DWord" { if ($env:VALUE -in @("true", "false")) { [int]($env:VALUE -eq "true") } else { [int]$env:VALUE } }
        "QWord" { [long]$env:VALUE }
        default { [string]$env:VALUE }
    }
    if ($null -eq $item) { New-Item -Path $env:KEY -Force | Out-Null }
    $same = $there -and ([string]$item.GetValueKind($env:NAME) -eq $env:TYPE) -and
        ($item.GetValue($env:NAME, $null, "DoNotExpandEnvironmentNames") -ceq $value)
    if (-not $same) {
        New-ItemProperty -LiteralPath $env:KEY -Name $env:NAME -Value $value -PropertyType $env:TYPE -Force | Out-Null
        $changed = $true
    }
}
@{ changed = $changed } | ConvertTo-Json -Compress
