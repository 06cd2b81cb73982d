"""WinRM: commands, PowerShell and files of Windows hosts, over WS-Management (MS-WSMV, MS-PSRP).

pypsrp speaks the protocols. What carries them is ours (`wire`): one connection, limits on everything, no trust but that
of the definitions. pypsrp blocks, so each session has a thread while it works; nothing of it runs in the event loop.
"""
