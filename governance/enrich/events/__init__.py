"""What manifests declare about events, read and tried out: facts for rules, and the same readers for the broker."""
