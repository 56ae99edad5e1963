"""One stage a file: its key, what it computes, how its result is packed for the store."""
