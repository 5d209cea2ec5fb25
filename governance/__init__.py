"""Policy-as-code governance for micro-apps: normalise, enrich, decide, record, enforce."""

__version__ = "0.1.0"
