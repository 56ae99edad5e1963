"""Tuning an option on a validation part of the training split."""
