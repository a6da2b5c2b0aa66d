"""Figures that say how good generated pictures are; each named for what it is."""
