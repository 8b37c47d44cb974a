"""Parts that several networks share. Everything is NHWC; padding is always explicit."""
