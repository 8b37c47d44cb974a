"""Image formation: reflections, raindrops and degradations, from arrays to arrays. It reads no files."""
