"""ART-compatible estimators, and the judge that believes nobody."""
