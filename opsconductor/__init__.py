"""The application: commands, settings and wiring. The only place that reads flags and the environment."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("opsconductor")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
