"""Equation 4: what is asked of a tail, and the steps that learn it."""
