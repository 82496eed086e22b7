"""Words and small tools that every stage shares; imports nothing of ours."""
