"""What figures have in common: axes, colours, numbers as text, SVG."""
