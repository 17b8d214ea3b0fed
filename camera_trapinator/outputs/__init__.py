"""From prediction records to files that people and their tools read: one file a format."""
