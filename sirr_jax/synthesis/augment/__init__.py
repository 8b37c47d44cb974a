"""Random changes of photographs: color, geometry, hard negatives."""
