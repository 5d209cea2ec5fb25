"""The only way out: who calls, what is decided, how often, with which credential, over which connection."""
