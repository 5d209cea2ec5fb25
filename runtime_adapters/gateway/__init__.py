"""The gateway in front of the apps: one state in, a real Envoy's configuration out, applied so that the last good one stays."""
