"""The embedded demo model: a small Stable Diffusion of drawn animals, whose facts count."""
