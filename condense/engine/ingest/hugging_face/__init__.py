"""Data sets of Hugging Face's ``datasets``, an extra, which is imported where one is at hand."""
