"""From CSV files to images, and from labels to a submission."""
