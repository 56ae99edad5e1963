"""The space in which samples are near or far, and what lies how near."""
