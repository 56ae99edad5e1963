"""The signs by which a run is known to have failed."""
