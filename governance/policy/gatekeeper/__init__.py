"""Gatekeeper's ConstraintTemplates and Constraints as rules of ours. Source: open-policy-agent.github.io/gatekeeper."""
