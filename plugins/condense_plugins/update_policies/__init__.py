"""Built-in update policies."""
