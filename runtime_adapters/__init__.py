"""Runtimes that carry a decision out; this leaf knows plans, never policies."""
