"""Broken in every way that a host has to survive; ``contested`` alone is sound and claims a sibling's name."""
