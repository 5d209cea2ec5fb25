"""Facts about a request; never a verdict. Each enricher says what it knows, or is named as unavailable."""
