"""Many runs beside each other: ablation, comparison, coverage, tuning."""
