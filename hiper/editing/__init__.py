"""LIPE: one picture edited, its subject and background kept."""
