"""The small set for programs that do not know ``condense``: one file a format."""
