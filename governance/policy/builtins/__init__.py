"""OPA's builtins: their signatures, and Python versions of those that the engine lacks or gets wrong."""
