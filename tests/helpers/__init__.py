"""What several tests share: files, networks, literal references, short runs."""
