"""Turning what came in into a `Request`: reading documents safely, and nothing that judges them."""
