"""What is kept of attention, and which token is which."""
