"""The nodes that show where a model looks."""
