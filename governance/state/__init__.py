"""What an installation remembers beside its log: API keys, apps, templates, waivers, app tokens, what was used."""
