"""The upload of decisions as a process of its own: `python -m governance.entrypoints.http.upload_main`, started by `serve`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from governance import __version__
from governance.entrypoints.http.companion import run_companion
from governance.log_wiring import open_reader
from governance.platform.upload import Collector, Uploader

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.entrypoints.http.companion import Work
    from governance.settings import Settings


def begin(settings: Settings, say: Callable[[str], None]) -> Work:
    """The uploader of this home."""
    collector = Collector(
        settings.text("decision_log_url"),
        settings.text("decision_log_token_file"),
        settings.number("decision_log_batch"),
    )
    labels = {"id": settings.text("log_origin"), "version": __version__}
    return Uploader(open_reader(settings), collector, settings.home, labels, say).run


if __name__ == "__main__":
    sys.exit(run_companion("upload", begin))
