"""Built-in matchers."""
