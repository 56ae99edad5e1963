"""The small set: as a Dataset, as files, as a picture."""
