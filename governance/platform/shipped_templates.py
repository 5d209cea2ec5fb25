"""The templates that come with the package: `deploy/examples/*/template.yaml`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.model.request import Json


def shipped_templates() -> dict[str, Json]:
    """Templates in `deploy/examples/*/template.yaml`, as `name@version`."""
    from governance.policy.locations import data_folder

    base = os.path.join(data_folder("deploy"), "examples")
    return {
        f"{document['metadata']['name']}@{document['metadata']['version']}": document["spec"]
        for document in _documents(base, sorted(os.listdir(base)))
    }


def _documents(base: str, folders: Sequence[str]) -> Iterator[Json]:
    import ryaml

    for folder in folders:
        path = os.path.join(base, folder, "template.yaml")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                yield ryaml.loads(file.read())
