"""Engines: ways to run one `step` over time. Each module has one `run`; the only place that knows devices."""
