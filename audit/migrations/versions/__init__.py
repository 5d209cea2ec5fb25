"""One module a revision. What stands in one never changes: a database somewhere was made by it."""
