"""connectors_registry."""
