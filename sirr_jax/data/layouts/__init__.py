"""Known folder layouts of data sets, one file for each."""
