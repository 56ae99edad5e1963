"""The HTML report: one self-contained page about runs and studies."""
