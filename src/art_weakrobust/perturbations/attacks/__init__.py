"""ART's attacks: their quirks, binding to the estimator at hand, and the judge of what they return."""
