"""What `condense run` prints of a choice and of several seeds."""
