"""Time loops as GPU kernels: which arrays hold cells, what a lane computes, how it is launched."""
