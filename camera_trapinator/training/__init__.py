"""What keeps a training exact and alive: which photos come when, processes, stops, checkpoints."""
