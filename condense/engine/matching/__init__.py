"""The one matching loop: its updates, its state, labels that are learned."""
