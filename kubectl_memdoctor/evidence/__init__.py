"""What one piece of text proves by itself: a runtime's error, a mount's error, a group of events."""
