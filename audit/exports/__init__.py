"""Exports: packages that verify offline, and the views in them."""
