"""WebAssembly text to a module: for examples and templates that stand in Git as something people can read."""

from __future__ import annotations

from runtime_adapters.port import BadArtifact


def assembled(text: str) -> bytes:
    """The module; the same bytes for the same text and release of wasmtime. Raises BadArtifact naming line and column."""
    import wasmtime

    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError as error:
        raise BadArtifact(f"not WebAssembly text: {error}") from error
