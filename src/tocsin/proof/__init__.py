"""Looking back across all stages: why something happened, or didn't."""
