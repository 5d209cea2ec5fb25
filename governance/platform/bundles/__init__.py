"""Where bundles come from, and which release of them is in force."""
