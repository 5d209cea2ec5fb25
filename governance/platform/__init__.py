"""What the service keeps beside decisions: API keys, measurements."""
