"""The synthetic world: bursts with exact ground truth."""
