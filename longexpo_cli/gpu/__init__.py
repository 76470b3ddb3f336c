"""OpenCL: devices and buffers, and per stage a module with one function for each kernel."""
