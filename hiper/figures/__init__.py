"""Pictures for people: attention maps, grids, the loss."""
