"""One engine and one loop for every recipe. They know none of the published systems by name."""
