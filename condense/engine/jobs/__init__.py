"""Work handed to an executor: pieces of stages as jobs, worked off anywhere, kept in the store."""
