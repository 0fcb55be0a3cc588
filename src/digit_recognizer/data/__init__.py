"""CSV files in, images out; labels in, submission.csv out."""
