"""A desk that receives residents with their card alone, also when it is cut off."""
