"""The command line: functions from arguments to an exit code. Data on stdout, chatter and progress on stderr."""
