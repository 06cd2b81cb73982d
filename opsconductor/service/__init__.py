"""The engine as processes: all in one, controllers and runners apart, and what service managers and probes are told."""
