"""Stage 1, what arrived: intake, hot chunks, reading."""
