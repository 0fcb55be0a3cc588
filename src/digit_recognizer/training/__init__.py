"""From a recipe and images to trained networks and their predictions."""
