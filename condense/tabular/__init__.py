"""Tables: rows that are samples, kept beside the features that networks see of them."""
