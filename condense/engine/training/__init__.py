"""The one training loop, and what is measured in it."""
