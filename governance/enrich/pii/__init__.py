"""Looking for personal data and secrets in values: linear in their size, deterministic, with a bound on the work."""
