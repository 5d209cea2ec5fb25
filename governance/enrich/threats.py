"""The threats that a design is reviewed for: one table, read by the checklist, by the prompt and by the answer's check.

Sources of the categories: STRIDE (Microsoft's threat modelling), LINDDUN (KU Leuven, privacy threats), the OWASP Top 10
for LLM applications of 2025. What says nothing about a manifest (model theft, physical access) is left out.
"""

from __future__ import annotations

from typing import NamedTuple


class Threat(NamedTuple):
    """One row: what a finding of this category is about."""

    category: str
    question: str


THREATS: tuple[Threat, ...] = (
    Threat("stride.spoofing", "Can somebody act under another's name, or the app under a person's?"),
    Threat("stride.tampering", "Can code, data or configuration be changed on its way or at rest?"),
    Threat("stride.repudiation", "Can somebody deny having done or approved something?"),
    Threat("stride.information_disclosure", "Does data reach people or hosts that do not need it?"),
    Threat("stride.denial_of_service", "Can the app exhaust itself, a connector or its tenant?"),
    Threat("stride.elevation", "Does the app hold more rights than its purpose needs?"),
    Threat("linddun.linking", "Are data joined that say more about a person together than apart?"),
    Threat("linddun.identifying", "Can a person be identified who need not be?"),
    Threat("linddun.non_repudiation", "Is evidence about people kept that they cannot deny and nobody needs?"),
    Threat("linddun.detecting", "Can something about a person be inferred from behaviour alone?"),
    Threat("linddun.data_disclosure", "Are more personal data collected, kept or passed on than the purpose needs?"),
    Threat("linddun.unawareness", "Do people not know, or not control, what is done with their data?"),
    Threat("linddun.non_compliance", "Does the purpose, the retention or the region not fit what is declared?"),
    Threat("llm.prompt_injection", "Does text that others write reach a model as instructions?"),
    Threat("llm.sensitive_information", "Do personal data or secrets reach a model or come out of it?"),
    Threat("llm.supply_chain", "Is a model, prompt or plug-in used whose origin is not pinned?"),
    Threat("llm.output_handling", "Is what a model says used unchecked, in a query, a page or a command?"),
    Threat("llm.excessive_agency", "Can a model write, send or delete without a person in between?"),
    Threat("llm.prompt_leakage", "Does a prompt hold something that its readers must not learn?"),
    Threat("llm.misinformation", "Do people act on a model's answer that nobody can check?"),
    Threat("llm.unbounded_consumption", "Is a model's use without a limit in calls, tokens or money?"),
    Threat("injection.marker", "Does the design hold text that addresses its reviewer or gives it orders?"),
    Threat("injection.hidden_text", "Does the design hold text that a person does not see as it is read by a program?"),
    Threat("injection.unreadable", "Is a text so long that no reviewer reads it whole?"),
)
CATEGORIES: frozenset[str] = frozenset(threat.category for threat in THREATS)
SEVERITIES: tuple[str, ...] = ("info", "low", "medium", "high", "critical")
