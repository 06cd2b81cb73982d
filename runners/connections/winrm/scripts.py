"""What runs on a Windows host around a step: one constant script, which reads all data of a step from its input.

The data are one line: base64 of UTF-8, with commas between. They travel within the encrypted message, and are in no
process's arguments. Fields: the script, its folder, whether it has input, that input, then names and values of
environment variables.
"""

import base64
from collections.abc import Mapping

BOOTSTRAP = r"""
try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }
$OutputEncoding = New-Object System.Text.UTF8Encoding $false
$ProgressPreference = 'SilentlyContinue'
$oc_line = (@($input) -join '').Trim()
$oc = @($oc_line.Split(',') | ForEach-Object {
  [System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String($_))
})
$oc_line = $null
for ($oc_at = 4; $oc_at + 1 -lt $oc.Count; $oc_at += 2) {
  [System.Environment]::SetEnvironmentVariable($oc[$oc_at], $oc[$oc_at + 1])
}
if ($oc[1] -ne '') { Set-Location -LiteralPath $oc[1] -ErrorAction Stop }
$oc_script = [System.Management.Automation.ScriptBlock]::Create($oc[0])
$oc_fed = @()
if ($oc[2] -ne '') { $oc_fed = @($oc[3] -split "`r?`n") }
$oc = $null
$global:LASTEXITCODE = 0
$oc_fed | & $oc_script | Out-String -Stream -Width 4096
exit $global:LASTEXITCODE
"""

STARTED = (
    "powershell.exe",
    "-NoLogo",
    "-NoProfile",
    "-NonInteractive",
    "-OutputFormat",
    "Text",
    "-EncodedCommand",
    base64.b64encode(BOOTSTRAP.encode("utf-16-le")).decode(),
)
"""The whole command line that starts PowerShell, for every step: what the process list of the host shows."""


def line_of(
    script: str, *, env: Mapping[str, str] | None = None, stdin: str | None = None, folder: str | None = None
) -> str:
    """The line of input that makes the bootstrap run `script`."""
    fields = [script, folder or "", "" if stdin is None else "1", stdin or ""]
    for name, value in (env or {}).items():
        fields += [name, value]
    return ",".join(base64.b64encode(field.encode("utf-8", "surrogatepass")).decode() for field in fields)


VERSION = """
"PowerShell $($PSVersionTable.PSVersion) on $([System.Environment]::OSVersion.VersionString)"
"""
"""Harmless: what `target test` runs."""


# --- files: the input of each script are its arguments, one a line ---------------------------------------------------

_ARGUMENTS = "$ErrorActionPreference = 'Stop'\n$a = @($input)\n"
_TOLD = r"""
function Tell($i) {
  $kind = 'file'
  if ($i.Attributes -band [System.IO.FileAttributes]::ReparsePoint) { $kind = 'link' }
  elseif ($i.PSIsContainer) { $kind = 'folder' }
  $size = 0
  if ($kind -eq 'file') { $size = $i.Length }
  $name = [System.Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes($i.Name))
  "$kind $size $($i.LastWriteTimeUtc.Ticks) $name"
}
"""

STAT = f"""{_ARGUMENTS}{_TOLD}
try {{ Tell (Get-Item -LiteralPath $a[0] -Force) }}
catch [System.Management.Automation.ItemNotFoundException] {{ 'none' }}
"""
LIST = f"{_ARGUMENTS}{_TOLD}\nGet-ChildItem -LiteralPath $a[0] -Force | ForEach-Object {{ Tell $_ }}\n"
READ = f"""{_ARGUMENTS}
$file = [System.IO.File]::Open($a[0], 'Open', 'Read', 'ReadWrite, Delete')
try {{
  [void]$file.Seek([long]$a[1], 'Begin')
  $bytes = New-Object byte[] ([int]$a[2])
  $had = 0
  while (($more = $file.Read($bytes, $had, $bytes.Length - $had)) -gt 0) {{ $had += $more }}
  [System.Convert]::ToBase64String($bytes, 0, $had, 'InsertLineBreaks')
}} finally {{ $file.Dispose() }}
"""
CREATE = f"{_ARGUMENTS}\n[System.IO.File]::Open($a[0], 'CreateNew', 'Write', 'None').Dispose()\n"
APPEND = f"""{_ARGUMENTS}
$file = [System.IO.File]::Open($a[0], 'Append', 'Write', 'None')
try {{
  $bytes = [System.Convert]::FromBase64String($a[1])
  $file.Write($bytes, 0, $bytes.Length)
}} finally {{ $file.Dispose() }}
"""
RENAME = f"""{_ARGUMENTS}
if ([System.IO.File]::Exists($a[1])) {{ [System.IO.File]::Replace($a[0], $a[1], [NullString]::Value) }}
else {{ [System.IO.File]::Move($a[0], $a[1]) }}
"""
MAKE_FOLDER = f"{_ARGUMENTS}\n[void][System.IO.Directory]::CreateDirectory($a[0])\n"
REMOVE = f"""{_ARGUMENTS}
if ([System.IO.Directory]::Exists($a[0])) {{ [System.IO.Directory]::Delete($a[0], $false) }}
elseif ([System.IO.File]::Exists($a[0])) {{ [System.IO.File]::Delete($a[0]) }}
else {{ throw 'there is no such file' }}
"""
BATCH = f"""{_ARGUMENTS}
try {{
  Get-ChildItem -LiteralPath $env:TEMP -Filter 'oc-*.cmd' -Force |
    Where-Object {{ $_.Name -match '^oc-[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}\\.cmd$' }} |
    Where-Object {{ $_.LastWriteTimeUtc -lt [System.DateTime]::UtcNow.AddDays(-7) }} |
    ForEach-Object {{ [System.IO.File]::Delete($_.FullName) }}
}} catch {{ }}
[System.IO.File]::WriteAllBytes((Join-Path $env:TEMP $a[0]), [System.Convert]::FromBase64String($a[1]))
"""
"""Puts a script for cmd into the folder for temporary files, and removes what lost machines left there a week ago."""


def arguments(*given: str) -> str:
    """The input of one of these scripts. None of them may have a line break."""
    return "\n".join(given)
