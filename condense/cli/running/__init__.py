"""Of `condense run`: a method chosen and the choice shown, and what several seeds gave."""
