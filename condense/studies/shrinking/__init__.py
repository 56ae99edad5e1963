"""The smallest part of the training data that keeps a share of what the whole gives."""
