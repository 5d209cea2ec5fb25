"""Reading and writing Rego: tokens, syntax tree, parser and printer; knows nothing of the engine."""
