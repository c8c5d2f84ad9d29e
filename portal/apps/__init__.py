"""Apps: software a Company registers, its Environments and Credentials."""
