"""An option found on a held-out part of the training split."""
