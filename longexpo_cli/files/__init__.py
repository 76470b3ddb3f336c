"""Reading RAW files, pictures, videos and their metadata; writing the results."""
