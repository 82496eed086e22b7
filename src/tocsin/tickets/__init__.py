"""Stage 3, what we do about it: correlation, the workflow, the times that SLAs are made of."""
