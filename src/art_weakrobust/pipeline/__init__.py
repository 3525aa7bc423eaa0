"""The only place that knows the order of the street: score, select, validate, fine-tune, validate again, report."""
