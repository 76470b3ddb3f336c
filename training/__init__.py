"""Training of the motion network; needs torch (the `train` extra). The product never imports this."""
