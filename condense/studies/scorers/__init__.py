"""Scorers side by side."""
