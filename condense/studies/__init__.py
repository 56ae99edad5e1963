"""Many runs beside each other: what is varied, how it is run, and its files."""
