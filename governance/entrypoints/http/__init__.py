"""The HTTP door: raw ASGI, so that answering costs little more than deciding."""
