"""The synthetic world: bursts whose true long exposure is known."""
