"""The policy compiler: what makes an answer mean what it means in OPA. Start at `compile.py`."""
