"""Corrupted sets on disk: read in the official layouts, paired with the clean test images, and written."""
