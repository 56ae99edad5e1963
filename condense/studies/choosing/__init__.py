"""A method chosen for the data, on a held-out part of the training split."""
