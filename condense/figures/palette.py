"""Colours of curves and dots, told apart with any kind of colour blindness and by their order.

Between any two the distance in CIELAB is 19 or more, as seen with protanopia, deuteranopia and
tritanopia too, and the contrast to the paper is at least 3:1.
"""

LIGHT = ("#00508f", "#d55e00", "#00a574", "#c76aa0", "#4a2d00", "#5379de")  # on white
DARK = ("#5aa0f0", "#f0803c", "#4befa2", "#e99ecb", "#f2e45c", "#888e88")  # on black
