"""Pieces of ``benchmarks/questions.py``: what is run for each question of docs/questions.md."""
