"""The stages: how a recipe becomes a condensed set, and what can be asked of one."""
