"""What a person wires: schema, checks and words."""
