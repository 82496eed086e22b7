"""Tocsin: logs in, alerts decided, one ticket for each thing that is wrong."""

__version__ = "0.1.0"
