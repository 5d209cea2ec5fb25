"""The cover report as PDF: what was asked for, totals, a chart, samples, how to verify. Never the log itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from audit.exports.totals import Totals

if TYPE_CHECKING:
    from pathlib import Path

    from audit.exports.views import Context, Rows

_EFFECTS = ("allow", "warn", "require_approval", "deny")
_COLOURS = {"allow": 0x2E7D5B, "warn": 0xC9A227, "require_approval": 0x4A6FA5, "deny": 0xB23A48}
# More bars than this are no longer read: then months instead of days.
_MOST_BARS = 45
_MOST_ROWS = 15
_LONGEST = 160


def write(rows: Rows, path: Path, context: Context) -> None:
    """A few pages, however many records."""
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate

    totals = Totals()
    for record in rows():
        totals.add(record)
    # `invariant`: the same records give the same bytes.
    document = SimpleDocTemplate(
        str(path), pagesize=A4, title="Audit export", author="Microapp Governance", invariant=1
    )
    document.build(_story(totals, context))


def _story(totals: Totals, context: Context) -> list[Any]:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, Spacer

    styles = getSampleStyleSheet()
    scope = ", ".join(f"{name} {value}" for name, value in context.filter.items()) or "everything"

    def head(text: str) -> Any:
        return Paragraph(text, styles["Heading2"])

    def say(text: str) -> Any:
        return Paragraph(_shown(text), styles["BodyText"])

    return [
        Paragraph("Audit export", styles["Title"]),
        head("Scope"),
        _table([
            ("asked for", scope), ("records", f"{context.records:,}"), ("first", totals.first or "-"),
            ("last", totals.last or "-"), ("made", context.created), ("log", context.verifier_key.split("+")[0]),
        ]),
        head("Totals"),
        _table([(effect or "(no decision)", f"{count:,}") for effect, count in totals.effects.most_common()]),
        Spacer(1, 8),
        _chart(totals),
        head("Rules that were not met, most often first"),
        _table(_counts(totals.rules)) if totals.rules else say("None."),
        head("Apps with most records"),
        _table(_counts(totals.apps)),
        head("Samples of what was refused"),
        *([say(f"Record {i}, {time}, {app}: {reason}") for i, time, app, reason in totals.samples] or [say("Nothing was.")]),
        head("How to verify"),
        say("This report only describes the package it lies in; the package proves it. With Python 3.11 and nothing else:"),
        say("python verify.py THIS_PACKAGE --key 'the key you were given'"),
        say(f"The key of this log says of itself: {context.verifier_key}. Compare it with the one you were given."),
    ]  # fmt: skip


def _counts(counted: Counter[str]) -> list[tuple[str, str]]:
    rows = [(name or "(none)", f"{count:,}") for name, count in counted.most_common(_MOST_ROWS)]
    rest = len(counted) - len(rows)
    return [*rows, (f"and {rest} more", "")] if rest > 0 else rows


def _table(rows: list[tuple[str, str]]) -> Any:
    from reportlab.lib import colors
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, Table

    plain = getSampleStyleSheet()["BodyText"]
    cells = [[Paragraph(_shown(text), plain) for text in row] for row in rows] or [["-", "-"]]
    return Table(cells, colWidths=(150, 300), hAlign="LEFT", style=[("GRID", (0, 0), (-1, -1), 0.25, colors.lightgrey)])


def _chart(totals: Totals) -> Any:
    """Stacked bars by day, or by month where there are many days."""
    from reportlab.graphics.charts.barcharts import VerticalBarChart
    from reportlab.graphics.shapes import Drawing, String
    from reportlab.lib.colors import HexColor

    days = totals.days
    if len(days) > _MOST_BARS:
        months: dict[str, Counter[str]] = {}
        for day, counted in days.items():
            months.setdefault(day[:7], Counter()).update(counted)
        days = months
    drawing = Drawing(450, 190)
    names = sorted(days)[-_MOST_BARS:]
    if not names:
        return drawing
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 40, 40, 400, 130
    chart.categoryAxis.style = "stacked"
    chart.data = [[days[name][effect] for name in names] for effect in _EFFECTS]
    chart.categoryAxis.categoryNames = [_shown(name) for name in names]
    chart.categoryAxis.labels.angle, chart.categoryAxis.labels.boxAnchor, chart.categoryAxis.labels.fontSize = (
        60,
        "e",
        6,
    )
    chart.valueAxis.valueMin, chart.valueAxis.labels.fontSize = 0, 7
    for number, effect in enumerate(_EFFECTS):
        chart.bars[number].fillColor = HexColor(_COLOURS[effect])
        chart.bars[number].strokeWidth = 0
        drawing.add(String(40 + 100 * number, 180, effect, fontSize=8, fillColor=HexColor(_COLOURS[effect])))
    drawing.add(chart)
    return drawing


def _shown(text: str) -> str:
    """Text for a paragraph: no markup, and only letters that the built-in fonts have."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    return escape(
        "".join(c if c.isprintable() else "?" for c in cut).encode("cp1252", "backslashreplace").decode("cp1252")
    )
