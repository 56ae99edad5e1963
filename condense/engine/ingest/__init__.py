"""From what a user has to LabeledData."""
