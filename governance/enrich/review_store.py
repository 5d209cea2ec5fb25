"""What a model said about a design, kept by content: one document a design, prompt and model, whole or not there.

Only a review that is on record is written here. The line reads it; it never asks a model itself, so a decision needs no
network, and the same facts come out when it is made again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from governance.enrich.review_answer import BadAnswer, validated
from governance.enrich.review_prompt import PROMPT_DIGEST
from governance.errors import DependencyError

if TYPE_CHECKING:
    from governance.model.request import Json, Request
    from governance.state.port import State


# What the API server writes into an object: the same design comes from a file without it and from the webhook with it.
_SERVER_SET = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "namespace"}
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def design_in(resource: Json) -> Json:
    """The resource without what Kubernetes adds to it. The checklist reads that as well; a model does not."""
    metadata = resource.get("metadata")
    if not isinstance(metadata, dict):
        return resource
    kept = {name: value for name, value in metadata.items() if name not in _SERVER_SET}
    annotations = kept.get("annotations")
    if isinstance(annotations, dict) and _LAST_APPLIED in annotations:
        kept["annotations"] = {name: value for name, value in annotations.items() if name != _LAST_APPLIED}
        if not kept["annotations"]:
            del kept["annotations"]
    return {**{name: value for name, value in resource.items() if name != "status"}, "metadata": kept}


class ReviewStore:
    """Reviews below reviews/done/ in the state, by one configuration of models."""

    def __init__(self, state: State, models: str) -> None:
        """`models`: text that names the models in force; another one has reviewed nothing yet."""
        self._state = state
        self._models = models

    def key(self, request: Request) -> str:
        """Hex digest of what is reviewed, by which prompt and models: the kind and the design, not who asks."""
        about = [request.kind, design_in(request.resource), PROMPT_DIGEST, self._models]
        text = json.dumps(about, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def get(self, request: Request) -> Json | None:
        """`{findings, model, review_id}`; None where no model has reviewed this design. Raises DependencyError."""
        path = self._path(request)
        try:
            raw = self._state.read(path)
            if raw is None:
                return None
            stored = json.loads(raw)
            findings = validated({"findings": [_said(finding) for finding in stored["findings"]]}, request.resource)
            return {"findings": findings, "model": str(stored["model"]), "review_id": str(stored["review_id"])}
        except (BadAnswer, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DependencyError(
                "a stored review cannot be read", where=path, hint="remove it and have the design reviewed again"
            ) from error

    def put(self, request: Request, review: Json) -> None:
        """Keep a review where there is none yet; raises OSError when that is not possible.

        The first one on record counts: a later one could only be there to find less.
        """
        raw = json.dumps(review).encode()
        self._state.change(self._path(request), lambda held: raw if held is None else held)

    def _path(self, request: Request) -> str:
        return f"reviews/done/{self.key(request)}.json"


def _said(finding: Json) -> Json:
    """A finding as the model gave it."""
    return {name: value for name, value in finding.items() if name != "source"}
