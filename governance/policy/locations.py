"""Where the data that travels with the package lies: in the checkout, or inside the installed wheel."""

from __future__ import annotations

import os

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def data_folder(name: str) -> str:
    """The folder `rules` or `deploy`. Raises FileNotFoundError when the installation is incomplete."""
    installed = os.path.join(_PACKAGE, "_data", name)
    checkout = os.path.join(os.path.dirname(_PACKAGE), name)
    for candidate in (installed, checkout):
        if os.path.isdir(candidate):
            return candidate
    raise FileNotFoundError(f"{name}: neither {installed} nor {checkout}; install the package again")
