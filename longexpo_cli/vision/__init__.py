"""Vision: what a picture shows, and how it moves to the next one."""
