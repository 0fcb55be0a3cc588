"""Pure functions of predictions and labels: metrics, significance, blending, diagnostics."""
