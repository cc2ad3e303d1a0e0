"""What stages solve with: descents, evolution, and normal equations of several shapes."""
