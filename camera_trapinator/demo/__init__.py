"""The generated world: its scenes, animals and cameras, and photos of it with exact masks."""
