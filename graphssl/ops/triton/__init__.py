"""Triton kernels for CUDA tensors. Imported only when one arrives: importing a module here imports triton."""
