"""A WS-Management endpoint for the tests: real SOAP, logins, message encryption and PSRP; its Windows is made up.

What it speaks comes from pyspnego and psrpcore, and from pypsrp's message encryption. Unmodified pypsrp and pywinrm,
which people use against Windows, work with it (test_wsman_endpoint). What it runs are real processes of this host:
PowerShell and cmd scripts of the tests are written so that a POSIX shell reads them alike.
"""
