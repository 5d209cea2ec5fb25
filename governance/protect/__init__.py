"""Carrying out what a decision obliges to on data: mask, drop, tokenize, hash, generalize; or refuse."""
