"""The colours of every figure."""

from __future__ import annotations

PAGE, INK, GREY, RULE, ACCENT = "#ffffff", "#22262e", "#6b7280", "#d5d9e0", "#d9480f"
BLANK = "#f1f3f6"  # what has no colour of a scale
FRAME, FAINT, GRID, CURVE = "#c3c8d1", "#c9d3e6", "#e8ebf0", "#2f6fde"

# from nothing to the scale's end, each step about as much brighter as the one before
HEAT = ("#0b0c1e", "#2a1e5c", "#6d2a86", "#c33d6d", "#f58b45", "#fdf3ad")
# a difference: less, the same, more
SIGNED = ("#1f4fae", "#92b4e3", "#f6f6f4", "#eea98f", "#b0241c")
