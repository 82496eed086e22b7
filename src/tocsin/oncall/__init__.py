"""Whose turn it is: people, teams, schedules."""
