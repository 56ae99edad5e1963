"""From rows that a user has to features and labels."""
