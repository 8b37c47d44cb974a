"""Known folder layouts of data sets, one file per family of layouts."""
