"""What everything stands on: store, files, device, precision, seeds, progress."""
