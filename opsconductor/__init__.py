"""The application: commands, settings and wiring. The only place that reads flags and the environment."""

__version__: str


def __getattr__(name: str) -> str:
    """The version, looked up when somebody asks: reading the metadata takes as long as checking a small repository."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("opsconductor")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
