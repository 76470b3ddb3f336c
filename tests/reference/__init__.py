"""Float64 NumPy twins of every kernel: each is its kernel's definition."""
