"""An impact report in words, as JSON, and as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from governance.platform.impact.compare import CHANGES, NOT_COMPARABLE, SAME, UNTOUCHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.platform.impact.analysis import Report

_WORDS = {
    "newly_denied": "newly denied", "newly_allowed": "newly allowed", "obligations": "other obligations",
    "other": "other rules or weight", SAME: "the same", UNTOUCHED: "no rule for it changed", NOT_COMPARABLE: "not comparable",
}  # fmt: skip
_ORDER = (*CHANGES, SAME, UNTOUCHED, NOT_COMPARABLE)
_MOST_LINES = 20
_STYLE = (
    "body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:600;padding:1rem 0 .3rem}"
    "td,th{border-bottom:1px solid #bbb;padding:.3rem .6rem;text-align:left}"
)


def as_json(report: Report) -> str:
    """Everything, for programs."""
    return json.dumps({**report._asdict(), "has_changes": report.has_changes}, indent=2, ensure_ascii=False) + "\n"


def as_text(report: Report) -> str:
    """For a terminal; the last line is the tally."""
    return "\n".join(_lines(report)) + "\n"


def as_html(report: Report) -> str:
    """One page; every value is escaped, since names come from whoever asked."""
    rules = html.escape(", ".join(report.changed_rules) or "none")
    sides = f"From <code>{html.escape(report.base)}</code> to <code>{html.escape(report.candidate)}</code>."
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Impact of a policy change</title>',
        f"<style>{_STYLE}</style><h1>Impact of a policy change</h1><p>{sides} Changed rules: {rules}.</p>",
        _table("Decisions", ("outcome", "decisions"), [(_WORDS[o], report.counts.get(o, 0)) for o in _ORDER]),
    ]
    for group in ("app", "rule", "owner"):
        rows = [(_WORDS[o], name or "(none)", n) for o in CHANGES for name, n in report.by[group].get(o, {}).items()]
        parts.append(_table(f"By {group}", ("outcome", group, "decisions"), rows))
    columns = ("outcome", "time", "kind", "app", "owner", "was", "becomes", "rules", "decision_id")
    examples = [tuple(" ".join(row[c]) if c == "rules" else row[c] for c in columns) for row in report.examples]
    parts.append(_table("Examples", columns, examples))
    return "\n".join(parts) + "\n</html>\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"from  {report.base}"
    yield f"to    {report.candidate}"
    yield f"changed rules: {', '.join(report.changed_rules) or 'none'}"
    for outcome in CHANGES:
        if not report.counts.get(outcome):
            continue
        yield f"\n{report.counts[outcome]} {_WORDS[outcome]}"
        for group in ("app", "rule", "owner"):
            names = report.by[group].get(outcome, {})
            told = ", ".join(f"{name or '(none)'} {count}" for name, count in list(names.items())[:_MOST_LINES])
            yield f"  by {group}: {told}{' …' if len(names) > _MOST_LINES else ''}"
        for row in [row for row in report.examples if row["outcome"] == outcome][:_MOST_LINES]:
            why = f"  ({row['why']})" if row["why"] else ""
            yield (
                f"  {row['time'][:19]}Z  {row['kind']:<14} {row['app']:<20} {row['was']} -> {row['becomes']}  "
                f"{' '.join(row['rules'])}  {row['decision_id']}{why}"
            )
    everything = sum(report.counts.values())
    told = ", ".join(f"{report.counts[o]} {_WORDS[o]}" for o in _ORDER if report.counts.get(o))
    speed = everything / report.seconds / report.cores if report.seconds else 0
    yield f"\n{everything} decisions: {told or 'none'}; {report.seconds:.1f} s on {report.cores} cores ({speed:.0f}/s a core)"


def _table(caption: str, head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    top = "".join(f"<th scope=col>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{html.escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
