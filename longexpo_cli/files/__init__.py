"""Files in and out: RAW, pictures and videos, their metadata, and the encoders of the results."""
