"""Consents of people, and the tokens that vendors give on the strength of them."""
