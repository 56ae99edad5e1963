"""Methods side by side, beside random subsets and the whole training split."""
