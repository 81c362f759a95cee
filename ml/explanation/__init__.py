"""Where a network looked: maps by several methods, and how well they meet radiologists' outlines. For study; the
portal shows the map of `ml.serving.heat_map`.
"""
