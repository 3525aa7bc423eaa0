"""Accuracy per perturbation type, and what follows from it."""
