"""Training of networks from a recipe and images, and their predictions."""
