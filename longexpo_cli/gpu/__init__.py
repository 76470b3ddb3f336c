"""What runs on an OpenCL device: device.py is pyopencl's door, the rest one function per kernel."""
