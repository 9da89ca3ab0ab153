"""Prompts as the model is given them: whose they are, and where a tail goes."""
