"""LIPE as nodes: edit a given picture, and keep its subject and its background."""
