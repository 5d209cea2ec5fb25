"""Which connectors and tenants exist: plain YAML in Git, read here; knows nothing of policy."""
