"""Containers of image files: zip archives and ArrayRecord."""
