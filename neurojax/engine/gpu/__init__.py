"""Time loops as GPU kernels: a program for one cell made one for many, and what a lane computes."""
