"""What each task teaches: one file a task, found by folder."""
