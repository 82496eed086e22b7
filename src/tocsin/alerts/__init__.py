"""Stage 2, what it means: rules, detection, fingerprints, episodes."""
