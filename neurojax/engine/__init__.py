"""Engines: ways to run one `step` over time; the only place that knows devices."""
